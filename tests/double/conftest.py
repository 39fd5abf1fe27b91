"""Fixtures: a scripted server of each flavour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_sglang.asking import FLAVOURS, QUICK, SLOW
from fake_sglang.process import FakeServer, fake_sglang


@pytest.fixture(params=FLAVOURS, scope="module")
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory, flavour: str) -> Iterator[FakeServer]:
    folder = tmp_path_factory.mktemp("quick")
    window = ("--window", "2000", "--pool", "1500")
    with fake_sglang(folder, "--flavour", flavour, *QUICK, *window) as server:
        yield server


@pytest.fixture
def slow(tmp_path: Path, flavour: str) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--flavour", flavour, *SLOW) as server:
        yield server
