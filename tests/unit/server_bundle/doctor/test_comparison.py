"""A typed command beside the plan: what each difference does to a long request."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from support.machines import recorded

from server_bundle.doctor import command_line, comparison
from server_bundle.doctor.comparison import Comparison, Line, Sides
from server_bundle.plan import build, profile
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.overrides import Overrides

Compare = Callable[..., Comparison]
MAIN = "deepseek-v4-flash-4x5090"
GUIDE = (
    "SGLANG_DSV4_MODE=2604 SGLANG_DSV4_2604_SUBMODE=2604B CUDA_VISIBLE_DEVICES=0,1,2,3 "
    "FLASHINFER_CUDA_ARCH_LIST=12.0a TORCH_CUDA_ARCH_LIST=12.0+PTX "
    "numactl --interleave=all python -m sglang.launch_server --host 0.0.0.0 --port 40001 "
    "--model m --kt-weight-path m --kt-method MXFP4 --kt-num-gpu-experts 10 --kt-cpuinfer 60 "
    "--kt-threadpool-count 2 --kt-gpu-prefill-token-threshold 2048 "
    "--kt-enable-dynamic-expert-update --tensor-parallel-size 4 --context-length 1048576 "
    "--attention-backend flashinfer --mem-fraction-static 0.7 --chunked-prefill-size 4096 "
    "--max-prefill-tokens 4096 --max-running-requests 2 --watchdog-timeout 1200 "
    "--disable-shared-experts-fusion --trust-remote-code --cuda-graph-bs 1 "
    "--cuda-graph-max-bs 1 --disable-radix-cache --skip-server-warmup"
)
"""The guide's command; 60 threads on a machine with 64 cores are what it should have."""


@pytest.fixture
def found(tmp_path: Path) -> Compare:
    """The comparison of a command, typed on a recorded machine without variables."""
    recording = recorded("four-5090", tmp_path / "root")

    def compared(text: str, name: str = MAIN, version: str = "0.7.2", gpus: int = 4) -> Comparison:
        recording.inside(sglang_kt=version if name == MAIN else None)
        typed = command_line.read(shlex.split(text), recording.machine(), gpus)
        chosen, machine = profile.load(name), MachineFacts(64, 2, 4)
        wish = Overrides(model="m", version=version, gpus=gpus)
        planned = build.with_differences(chosen, wish, machine)
        sides = Sides(typed, planned, chosen, machine, chosen.context, {})
        return comparison.compare(sides)

    return compared


def line(found: Comparison, name: str) -> Line:
    return next(one for one in found.lines if one.what == name)


def severities(found: Comparison) -> dict[str, str]:
    return {one.what: one.severity.value for one in found.lines}


def test_the_guides_command(found: Compare) -> None:
    """Its window is larger than its pool: that is the one thing that harms."""
    told = found(GUIDE)
    assert told.has_harm
    assert [one.what for one in told.lines if one.severity.value == "error"] == ["--context-length"]
    assert "a prompt of 727,041 to 731,386 tokens" in line(told, "--context-length").effect
    assert (told.longest, told.longest_planned) == (727040, 727040)
    assert severities(told)["--host"] == "warning"
    assert told.other == ()


def test_the_plans_own_command_has_no_difference(found: Compare) -> None:
    """With the window of the plan, its address and its threads."""
    text = GUIDE.replace("1048576", "727040").replace("0.0.0.0", "127.0.0.1")
    text = text.replace("numactl --interleave=all ", "").replace("cpuinfer 60", "cpuinfer 64")
    told = found(f"{text} --enable-metrics --served-model-name DeepSeek-V4-Flash")
    assert (told.lines, told.other, told.has_harm) == ((), (), False)


def test_a_value_that_is_no_number_ends_the_start(found: Compare) -> None:
    """Also of an option that the plan does not look at otherwise."""
    text = GUIDE.replace("40001", "abc").replace(
        "--mem-fraction-static 0.7", "--mem-fraction-static 70%"
    )
    told = found(f"{text} --dist-timeout 1h")
    for name in ("--port", "--mem-fraction-static", "--dist-timeout"):
        assert line(told, name).severity.value == "error", name
        assert "the start ends with an error" in line(told, name).effect, name
    assert (line(told, "--port").theirs, told.has_harm) == ("abc", True)


def test_kt_run(found: Compare) -> None:
    """A pool of 40,000 tokens, another format of the experts, and no variables."""
    told = found("kt run m")
    known = severities(told)
    assert told.longest == 35_584
    for name in (
        *("--max-total-tokens", "--kt-method", "--disable-radix-cache", "SGLANG_DSV4_MODE"),
        *("--context-length", "SGLANG_DSV4_2604_SUBMODE"),
    ):
        assert known[name] == "error", name
    effect = line(told, "--max-total-tokens").effect
    assert "more than 35,584 tokens waits forever" in effect
    assert "from 39,994 on it is refused" in effect
    assert line(told, "--mem-fraction-static").severity.value == "note"
    assert list(known.values()) == sorted(known.values(), key=("error", "warning", "note").index)


@pytest.mark.parametrize(
    ("change", "name", "severity", "said"),
    [
        (("--mem-fraction-static 0.7", "--mem-fraction-static 0.9"), None, "error", "out of mem"),
        (("--mem-fraction-static 0.7", "--mem-fraction-static 0.75"), None, "warning", "3.8 GiB"),
        (("--mem-fraction-static 0.7", "--mem-fraction-static 0.6"), None, "error", "521,216"),
        (("--chunked-prefill-size 4096", "--chunked-prefill-size 1024"), None, "warning", "no chu"),
        (("--chunked-prefill-size 4096", "--chunked-prefill-size -1"), None, "error", "one forwa"),
        (("--chunked-prefill-size 4096", "--chunked-prefill-size 65536"), None, "error", "16.0 Gi"),
        (("--chunked-prefill-size 4096", "--chunked-prefill-size 2048"), None, "warning", "2 time"),
        (("--kt-cpuinfer 60", "--kt-cpuinfer 120"), None, "warning", "ten times slower"),
        (("--kt-cpuinfer 60", "--kt-cpuinfer 16"), None, "warning", "48 of 64 cores stay idle"),
        (("--kt-threadpool-count 2", "--kt-threadpool-count 4"), None, "warning", "has 2"),
        (("--watchdog-timeout 1200", ""), "--watchdog-timeout", "warning", "300 s"),
        (("--max-running-requests 2", "--max-running-requests 8"), None, "warning", "retracted"),
        (("--context-length 1048576", "--context-length 32768"), None, "error", "32,768 tokens or"),
        (("--kt-weight-path m", ""), "--kt-weight-path", "error", "run out of memory"),
        (
            ("--kt-gpu-prefill-token-threshold 2048", ""),
            "--kt-gpu-prefill-token-threshold",
            "warning",
            "many times slower",
        ),
        (("--skip-server-warmup", "--allow-auto-truncate"), None, "error", "is cut without"),
        (("--skip-server-warmup", "--kt-cpuinfr 60"), "--kt-cpuinfr", "note", ""),
        (("--kt-cpuinfer 60", "--kt-cpuinfr 60"), "--kt-cpuinfr", "error", "is it --kt-cpuinfer?"),
        (("--kt-cpuinfer 60", "--kt-cpuinfer sixty"), None, "error", "a whole number"),
        (("--mem-fraction-static 0.7", "--mem-fraction-static 70%"), None, "error", "a number"),
        (("--context-length 1048576", "--context-length"), None, "error", "a whole number"),
        (("--tensor-parallel-size 4", "--tp 1"), "--tensor-parallel-size", "error", "no memory"),
    ],
)
def test_each_number_has_its_effect(
    found: Compare, change: tuple[str, str], name: str | None, severity: str, said: str
) -> None:
    assert change[0] in GUIDE
    told = found(GUIDE.replace(*change))
    wanted = name or change[1].split()[0]
    seen = next(one for one in (*told.lines, *told.other) if one.what == wanted)
    assert (seen.severity.value, said in seen.effect) == (severity, True), seen


def test_the_beginning_of_a_flag_is_that_flag(found: Compare) -> None:
    """As argparse has it; --tp and --model-path are other names."""
    text = GUIDE.replace("--mem-fraction-static", "--mem-fraction")
    told = found(text.replace("--tensor-parallel-size", "--tp"))
    assert not {"--mem-fraction", "--tp"} & set(severities(told))
    assert told.other == ()


def test_versions_have_their_own_rules(found: Compare) -> None:
    """One request at a time hangs on 0.6.2."""
    text = GUIDE.replace("--max-running-requests 2", "--max-running-requests 1")
    old = line(found(text, version="0.6.2.post3"), "--max-running-requests")
    assert (old.severity.value, "hangs forever" in old.effect) == ("error", True)
    new = line(found(text), "--max-running-requests")
    assert new.severity.value == "note"


def test_a_container_and_keys(found: Compare) -> None:
    """What docker's options do; a key is never a value."""
    tail = "python3 -m sglang.launch_server --model-path m --host 0.0.0.0 --tp 2"
    told = found(f"docker run --rm -p 30000:30000 img:1 {tail}", "generic-sglang", "0.5.23", 2)
    known = severities(told)
    assert known["docker --gpus"] == known["docker --shm-size"] == "error"
    assert known["docker --publish"] == "warning"
    assert known["docker --rm"] == "note"
    assert "--host" not in known
    keyed = found(f"{tail} --api-key sk-1234567890", "generic-sglang", "0.5.23", 2)
    assert severities(keyed)["--api-key"] == "warning"
    assert "--host" not in severities(keyed)
    assert "sk-1234567890" not in repr(keyed)


def test_timers_in_the_environment(found: Compare) -> None:
    """They end a request that waits or runs long."""
    told = found(f"SGLANG_REQ_WAITING_TIMEOUT=600 {GUIDE}")
    assert line(told, "SGLANG_REQ_WAITING_TIMEOUT").severity.value == "error"
