"""The guide's machine, as recorded, and a folder of weights that the doctor finds whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.machines import Recorded, recorded, weights


@pytest.fixture
def box(tmp_path: Path) -> Recorded:
    """4 x RTX 5090, 2 x 64 cores, 256 GB."""
    return recorded("four-5090", tmp_path / "root")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """DeepSeek V4 Flash's files, whole."""
    return weights(tmp_path / "DeepSeek-V4-Flash")
