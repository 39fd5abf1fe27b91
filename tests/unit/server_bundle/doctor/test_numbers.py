"""The options of sglang that take a number, and values that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import sglang_parser

from server_bundle import package_data
from server_bundle.doctor import numbers

TABLE = package_data.read(Path(numbers.__file__).with_suffix(".toml"))


def test_what_ends_the_start() -> None:
    """As argparse takes it: by Python's own `int` and `float`."""
    bad = {
        "--port": "abc",
        "--context-length": "600k",
        "--tensor-parallel-size": "4 m",
        "--max-total-tokens": "set",
        "--mem-fraction-static": "80%",
    }
    said = dict(numbers.refused(bad))
    assert list(said) == list(bad)
    assert "not a whole number" in said["--port"]
    assert "not a number" in said["--mem-fraction-static"]
    good = {
        "--port": "30001",
        "--mem-fraction-static": "0.7",
        "--chunked-prefill-size": "-1",
        "--watchdog-timeout": "1200",
        "--model": "abc",
        "--trust-remote-code": "set",
    }
    assert list(numbers.refused(good)) == []
    for port in ("0", "65536", "-1"):
        assert dict(numbers.refused({"--port": port}))["--port"].startswith("there is no such port")
    assert list(numbers.refused({"--port": "65535"})) == []


@pytest.mark.parametrize("version", [sglang_parser.NEW_KT, sglang_parser.NEW_UPSTREAM])
def test_the_table_is_what_sglang_itself_refuses(tmp_path: Path, version: str) -> None:
    """An option that this version does not have is refused for that."""
    folder = sglang_parser.unpacked(tmp_path)
    names = [(name, "int") for name in TABLE["whole"]]
    names += [(name, "float") for name in TABLE["fraction"]]
    answers = sglang_parser.parse(
        folder, version, [["--model-path", "m", name, "abc"] for name, _ in names]
    )
    refused = 0
    for (name, kind), answer in zip(names, answers, strict=True):
        words = answer["error"]
        if f"invalid {kind} value: 'abc'" in words:
            refused += 1
        else:
            assert "unrecognized arguments" in words or "ambiguous" in words, (name, words)
    assert refused > 100
