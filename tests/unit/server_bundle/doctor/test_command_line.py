"""Commands as people type them: in containers, in quotes, with variables."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from support.machines import recorded

from server_bundle.doctor import command_line
from server_bundle.doctor.command_line import Typed

TAIL = "python3 -m sglang.launch_server --model-path m/DeepSeek-V4-Flash --tp 4"


def typed(tmp_path: Path, text: str) -> Typed:
    box = recorded("four-5090", tmp_path / "root").machine()
    return command_line.read(shlex.split(text), box)


def test_the_tail_of_a_container(tmp_path: Path) -> None:
    """Its options are read, its variables are the server's, its packages are not the host's."""
    found = typed(
        tmp_path,
        "sudo docker run -d --gpus all --shm-size=32g -p 127.0.0.1:30000:30000 -v /m:/m "
        f"-e A=1 --env B=2 -e HF_TOKEN lmsysorg/sglang:v0.5.20-cu129 {TAIL}",
    )
    container = found.container
    assert container is not None
    assert (container.has_gpus, container.shares_memory, container.is_open) == (True, True, False)
    assert (found.plan.engine, found.plan.version) == ("sglang", "0.5.20")
    assert found.plan.environment == {"A": "1", "B": "2"}
    assert (found.plan.argv[0], found.plan.gpus) == ("python3", 4)
    assert container.image == "lmsysorg/sglang:v0.5.20-cu129"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--ipc=host --network host --runtime=nvidia", (True, True, True)),
        ("--ipc host -p 30000:30000", (False, True, True)),
        ("-e NVIDIA_VISIBLE_DEVICES=all", (True, False, False)),
    ],
)
def test_what_matters_of_a_container(
    tmp_path: Path, options: str, expected: tuple[bool, bool, bool]
) -> None:
    """GPUs, shared memory, and whether others reach its port."""
    found = typed(tmp_path, f"podman run {options} img {TAIL}").container
    assert found is not None
    assert (found.has_gpus, found.shares_memory, found.is_open) == expected


@pytest.mark.parametrize(
    "text",
    [
        f"docker run --entrypoint python3 img {TAIL.partition(' ')[2]}",
        f'docker run img bash -c "{TAIL}"',
        f'"{TAIL}"',
        f"nohup {TAIL}",
        f"docker exec box {TAIL}",
        TAIL.replace("python3 -m sglang.launch_server", "/opt/venv/bin/sglang serve"),
        "sglang serve m/DeepSeek-V4-Flash --tp 4",
        "sglang serve --model-type llm m/DeepSeek-V4-Flash --tp 4",
        "docker run img sglang serve --model-type=llm m/DeepSeek-V4-Flash --tp 4",
    ],
)
def test_other_ways_to_the_same_server(tmp_path: Path, text: str) -> None:
    plan = typed(tmp_path, text).plan
    assert (plan.model, plan.gpus) == ("m/DeepSeek-V4-Flash", 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("docker run -d approachingai/ktransformers:DSV4", "docker inspect"),
        ("vllm serve m", "sglang serve` or `kt run`"),
        ("python -m sglang.bench_serving --model m", "no `python -m sglang.launch_server`"),
        ("'python -m sglang.launch_server --model \"m'", "quotes are not closed"),
        ("python -m sglang.launch_server --tp 4", "no --model"),
        ("python -m sglang.launch_server m --tp 4", "no --model: only `sglang serve MODEL`"),
        ("sglang serve --tp 4 m", "only as the first word"),
    ],
)
def test_what_starts_no_sglang(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        typed(tmp_path, text)


def test_kt_run_on_a_machine(tmp_path: Path) -> None:
    """Its interpreter lies beside it; a folder that is not there is a name in its list."""
    found = typed(tmp_path, "CUDA_VISIBLE_DEVICES=0,1 /opt/venv/bin/kt run v4")
    assert (found.plan.python, found.plan.gpus, found.plan.engine) == (
        "/opt/venv/bin/python",
        2,
        "sglang-kt",
    )
    assert "its own list of models" in found.remarks[0]
