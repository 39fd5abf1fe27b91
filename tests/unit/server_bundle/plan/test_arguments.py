"""Every profile against the real argument parsers of the servers."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from support import golden, sglang_parser
from support.sglang_parser import NEW_KT, NEW_UPSTREAM, OLD_KT, UPSTREAM

from server_bundle.plan import key_file, profile

KT = {"0.6.2.post3": OLD_KT, "0.7.2": NEW_KT, "0.5.17": UPSTREAM, "0.5.23": NEW_UPSTREAM}


def arguments_of(script: str) -> list[str]:
    words = shlex.split(script.splitlines()[-1])
    return words[words.index("sglang.launch_server") + 1 :]


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sglang_parser.unpacked(tmp_path_factory.mktemp("parsers"))


def asked(parsers: Path, version: str, scripts: dict[str, str]) -> dict[str, dict[str, Any]]:
    answers = sglang_parser.parse(
        parsers, version, [arguments_of(script) for script in scripts.values()]
    )
    return dict(zip(scripts, answers, strict=True))


@pytest.mark.parametrize("version", KT)
def test_every_profile_is_understood(parsers: Path, version: str) -> None:
    """By the version that it was made for, down to the choices."""
    scripts = {name: text for name, text in golden.scripts().items() if f"_{version}.sh" in name}
    assert scripts
    for name, found in asked(parsers, KT[version], scripts).items():
        assert "error" not in found, f"{name}: {found}"
        assert found["host"] == "127.0.0.1"
        assert found["enable_metrics"] is True


def test_the_guide_is_understood_by_both(parsers: Path) -> None:
    """All 24 flags."""
    script = golden.script("deepseek-v4-flash-4x5090", "0.7.2", as_guide=True)
    for version in (OLD_KT, NEW_KT):
        (found,) = asked(parsers, version, {"guide": script}).values()
        assert found["kt_gpu_prefill_token_threshold"] == 2048
        assert found["cuda_graph_bs"] == [1]
        assert found["skip_server_warmup"] is True


def test_what_the_tutorials_say_is_understood(parsers: Path) -> None:
    """As they say it, by the newest."""
    for engine, version in (("sglang-kt", NEW_KT), ("sglang", NEW_UPSTREAM)):
        names = [name for name in profile.names() if profile.load(name).engine == engine]
        scripts = {name: golden.scripts()[f"{name}_as-guide.sh"] for name in names}
        assert scripts
        for name, found in asked(parsers, version, scripts).items():
            assert "error" not in found, f"{name}: {found}"


def test_the_parser_is_no_dummy(parsers: Path) -> None:
    """It refuses unknown flags, wrong choices and words for numbers."""
    wrong = (["--kt-weight-paths", "/m"], ["--reasoning-parser", "gpt-7"], ["--port", "many"])
    commands = [["--model", "/m", *words] for words in wrong]
    for version in (OLD_KT, NEW_KT, UPSTREAM, NEW_UPSTREAM):
        answers = sglang_parser.parse(parsers, version, commands)
        assert all("error" in answer for answer in answers), answers


def test_a_profile_starts_where_its_flags_do(parsers: Path) -> None:
    """MiniMax M3's parsers are unknown to 0.6.2.post3: the profile says so."""
    script = golden.script("minimax-m3-8gpu", "0.7.2")
    (old,) = asked(parsers, OLD_KT, {"m3": script}).values()
    assert "minimax-m3" in old["error"]
    assert profile.load("minimax-m3-8gpu").since == "0.7.2"


def test_upstream_does_not_know_all_of_kts_flags(parsers: Path) -> None:
    """So a plan refuses to mix them."""
    script = golden.script("deepseek-v4-flash-4x5090", "0.7.2")
    (found,) = asked(parsers, UPSTREAM, {"kt": script}).values()
    assert "error" in found


def test_a_flag_that_0_5_23_calls_ambiguous_is_left_out(parsers: Path) -> None:
    """As its parser says; the plan does not hand it on."""
    (found,) = sglang_parser.parse(
        parsers, NEW_UPSTREAM, [["--model", "/m", "--cuda-graph-max-bs", "8"]]
    )
    assert "ambiguous option" in found["error"]
    (found,) = sglang_parser.parse(
        parsers, UPSTREAM, [["--model", "/m", "--cuda-graph-max-bs", "8"]]
    )
    assert found["cuda_graph_max_bs_decode"] == 8


KEYS = ["s3cret", "true", "12345", "0x1F", "a: b #c", 'q"uo\\te', "{x}", "~", "null", "*a"]


@pytest.mark.parametrize("version", KT.values())
def test_a_key_comes_by_the_file(parsers: Path, tmp_path: Path, version: str) -> None:
    """Read by sglang's own reader, whatever else YAML could take the key for."""
    files = [key_file.write(tmp_path / str(number), key) for number, key in enumerate(KEYS)]
    commands = [["--config", str(file), "--model", "/m", "--host", "0.0.0.0"] for file in files]
    found = sglang_parser.parse(parsers, version, commands)
    assert [one["api_key"] for one in found] == KEYS
