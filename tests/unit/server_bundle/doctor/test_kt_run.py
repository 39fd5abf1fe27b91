"""What `kt run` starts, beside what its own --dry-run printed."""

from __future__ import annotations

import pytest

from server_bundle.doctor import kt_run
from server_bundle.doctor.kt_run import KtMachine

SMALL = KtMachine(processors=2, nodes=1, gpus=0)
DRY_RUN = (
    "-m sglang.launch_server --host 0.0.0.0 --port 30000 --model DIR --kt-weight-path DIR "
    "--kt-cpuinfer 1 --kt-threadpool-count 1 --kt-num-gpu-experts 1 --kt-method AMXINT4 "
    "--kt-gpu-prefill-token-threshold 4096 --kt-enable-dynamic-expert-update "
    "--attention-backend flashinfer --trust-remote-code --mem-fraction-static 0.98 "
    "--chunked-prefill-size 4096 --max-running-requests 32 --max-total-tokens 40000 "
    "--watchdog-timeout 3000 --enable-mixed-chunk --tensor-parallel-size 1 --enable-p2p-check "
    "--disable-shared-experts-fusion"
)
"""What `kt run DIR --dry-run` of kt-kernel 0.7.2 printed on a machine with two processors."""


def words(*typed: str, machine: KtMachine = SMALL) -> list[str]:
    return list(kt_run.command(["kt", "run", *typed], machine, "python").argv[1:])


def pairs(argv: list[str]) -> set[str]:
    """Flags with their values, in whatever order."""
    return set(" ".join(argv).replace(" --", "\n--").split("\n"))


def test_its_defaults_are_those_of_the_dry_run() -> None:
    assert pairs(words("DIR")) == pairs(DRY_RUN.split())


def test_options_replace_defaults_and_flags_of_sglang_are_appended() -> None:
    """Also `--a=b`, both spellings of a name, and what it passes on."""
    argv = words(
        *("DIR", "--tp", "4", "--max-total-tokens=1000000", "-p", "40001", "--cpu-threads", "60"),
        *("--numa-nodes", "0", "--numa-nodes", "1", "--enable-shared-experts-fusion"),
        *("--weights-path", "INT4", "--context-length", "1048576", "--disable-radix-cache"),
    )
    found = pairs(argv)
    wanted = {
        *("--tensor-parallel-size 4", "--max-total-tokens 1000000", "--port 40001"),
        *("--kt-cpuinfer 60", "--kt-threadpool-count 2", "--kt-numa-nodes 0 1", "--model DIR"),
        *("--kt-weight-path INT4", "--context-length 1048576", "--disable-radix-cache"),
    }
    assert wanted <= found
    assert "--disable-shared-experts-fusion" not in found
    assert argv[-3:] == ["--context-length", "1048576", "--disable-radix-cache"]
    assert "--fp8-gemm-backend triton" in pairs(words("DIR", "--kt-method", "FP8"))
    assert "--kt-threadpool-count 4" in pairs(words("DIR", "--numa-nodes", "4"))


def test_the_machine_decides_threads_pools_and_gpus() -> None:
    """0.8 of all processors, hyperthreads included."""
    found = pairs(words("DIR", machine=KtMachine(256, 2, 8)))
    assert {"--kt-cpuinfer 204", "--kt-threadpool-count 2", "--tensor-parallel-size 8"} <= found


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((), "without a model"),
        (("--context-length", "5", "DIR"), "name the model before such flags"),
        (("DIR", "--tp", "four"), "--tp 'four': it is not a whole number"),
        (("DIR", "--port"), "--port without a value"),
        (("DIR", "--quantize"), "kt quant"),
        (("--help",), "help"),
    ],
)
def test_what_starts_no_server(typed: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        words(*typed)


def test_what_it_would_ask_for_or_not_use_is_said() -> None:
    remarks = kt_run.command(["kt", "run", "DIR", "--model-path", "X"], SMALL, "p").remarks
    assert any("--gpu-experts, --tp, --cpu-threads" in one for one in remarks)
    assert any("does not use its option --model-path" in one for one in remarks)
    every = "kt run DIR --gpu-experts 1 --tp 4 --cpu-threads 8 --numa-nodes 2 --max-total-tokens 9"
    assert kt_run.command(every.split(" "), SMALL, "p").remarks == ()
