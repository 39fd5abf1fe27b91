"""`ktserver plan` and `ktserver profiles` as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import unit_checker

from server_bundle.plan import profile

MAIN = "deepseek-v4-flash-4x5090"
VERSION = ("--engine-version", "0.6.2.post3")
VERSION_UPSTREAM = ("--engine", "sglang", "--engine-version", "0.5.23")
SIZES = {
    "architectures": ["DeepseekV4ForCausalLM"],
    "hc_mult": 4,
    "head_dim": 512,
    "hidden_size": 4096,
    "index_head_dim": 128,
    "index_n_heads": 64,
    "max_position_embeddings": 1_048_576,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_attention_heads": 64,
    "num_hash_layers": 3,
    "o_groups": 8,
    "o_lora_rank": 1024,
    "q_lora_rank": 1024,
    "qk_rope_head_dim": 64,
    "sliding_window": 128,
    "vocab_size": 129_280,
}
"""Of DeepSeek V4 Flash, without its layers."""


def ktserver(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", "from ktclient.cli.ktserver import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A folder with a blank, as people have them."""
    folder = tmp_path / "my weights" / "DeepSeek-V4-Flash"
    folder.mkdir(parents=True)
    return str(folder)


def test_profiles_are_listed_and_shown(ktjob_home: Path) -> None:
    """With and without `list`."""
    listed = ktserver("profiles").stdout
    assert listed == ktserver("profiles", "list").stdout
    assert all(name in listed for name in profile.names())
    shown = ktserver("profiles", "show", MAIN).stdout
    for flag in profile.load(MAIN).flags:
        assert f"\n{flag.name}" in shown
    assert "did you mean" in ktserver("profiles", "show", MAIN[:-1], code=2).stderr


def test_a_plan_for_people(ktjob_home: Path, model: str) -> None:
    """The verdict, the guide's three rows, the differences and the script; nothing is written."""
    told = ktserver("plan", "--model", model, *VERSION).stdout
    assert "the pool of 964,864 tokens has room for the context of 960,512" in told
    for figure in ("758,784", "1,067,776", "5.3 GiB", "<- this plan"):
        assert figure in told
    assert "--context-length: 1048576 -> 960512" in told
    absent = ktserver("plan", "--model", f"{model}-slip", *VERSION).stderr
    assert (
        absent
        == f"note: there is no folder {model}-slip; `ktserver doctor` checks it before a start\n"
    )
    assert "#!/bin/sh" in told
    assert not ktjob_home.exists() or list(ktjob_home.iterdir()) == []


def test_the_script_runs_what_is_planned(ktjob_home: Path, model: str, tmp_path: Path) -> None:
    """By sh itself: an interpreter that prints its arguments and variables stands in."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" "$SGLANG_DSV4_MODE"\n')
    python.chmod(0o755)
    options = ("plan", "--model", model, "--python", str(python), *VERSION)
    script, plan = (
        ktserver(*options, "--sh").stdout,
        json.loads(ktserver(*options, "--json").stdout),
    )
    ran = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [*plan["argv"][1:], "2604"]
    assert model in plan["argv"]
    assert plan["planned_pool"] == 964_864


def test_a_plan_for_other_gpus_and_another_model(
    ktjob_home: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million tokens on two H200: by name, and as nvidia-smi shows them; sizes by config.json."""
    words = ("plan", "--model", model, "--tensor-parallel-size", "2", "--context", "960512")
    words += ("--engine-version", "0.7.2")
    assert "does not fit on these GPUs" in ktserver(*words, code=2).stderr
    options = ("--gpu", "H200", "--env", "TORCH_CUDA_ARCH_LIST=9.0", "--env", "A=b c")
    named = ktserver(*words, *options).stdout
    flat = " ".join(named.split())
    assert "planned for 2 x H200 (140.4 GiB, compute capability 9.0)" in flat
    assert f"{model}/config.json: there is no such file" in flat
    assert "export A='b c'" in named and "export TORCH_CUDA_ARCH_LIST=9.0\n" in named
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho 'NVIDIA H200, 143771, 9.0'\necho 'NVIDIA H200, 143771, 9.0'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    sizes = {**SIZES, "num_hidden_layers": 6, "compress_ratios": [0, 0, 4, 128, 4, 128, 0]}
    (Path(model) / "config.json").write_text(json.dumps(sizes))
    here = " ".join(ktserver(*words).stdout.split())
    assert "planned for 2 x NVIDIA H200" in here and "by nvidia-smi on this machine" in here
    assert "6 layers, hidden size 4,096, 256 experts 2,048 wide" in here
    longer = ("plan", "--model", model, "--context", "1048577", "--gpu", "H200")
    assert "Use --context 1048576" in ktserver(*longer, code=2).stderr
    for option, said in ((("--gpu", "Voodoo"), "Known are"), (("--env", "HF_TOKEN=x"), "export")):
        assert said in ktserver(*words, *option, code=2).stderr


def test_the_weights_that_were_fetched_are_found_by_name(
    ktjob_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub name becomes the folder of `ktserver fetch`; clients see the name alone."""
    monkeypatch.setenv("KTJOB_CACHE", str(tmp_path))
    folder = tmp_path / "weights" / "org--Name"
    words = ("plan", "--profile", "generic-sglang", "--model", "org/Name", "--json")
    before = json.loads(ktserver(*words, *VERSION_UPSTREAM).stdout)
    assert (before["model"], before["served_name"]) == ("org/Name", "Name")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    plan = json.loads(ktserver(*words, *VERSION_UPSTREAM).stdout)
    assert (plan["model"], plan["served_name"]) == (str(folder), "Name")
    assert str(folder) in plan["argv"]


def test_as_the_guide_has_it(ktjob_home: Path, model: str) -> None:
    """With the warning that belongs to it."""
    told = ktserver("plan", "--model", model, "--as-guide", "--sh")
    assert "numactl --interleave=all" in told.stdout
    assert "--host 0.0.0.0" in told.stdout
    assert "the server has no key" in told.stderr


def test_the_key_is_in_nothing_but_its_file(
    ktjob_home: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is printed."""
    monkeypatch.setenv("KTJOB_API_KEY", "k3y-of-mine")
    file = ktjob_home / "server-key.yaml"
    options = ("plan", "--model", model, "--host", "0.0.0.0", *VERSION)
    assert "k3y-of-mine" not in ktserver(*options).stdout
    assert not file.exists()
    for form in ("--sh", "--json", "--systemd"):
        told = ktserver(*options, form)
        assert "k3y-of-mine" not in told.stdout + told.stderr
        assert str(file) in told.stdout
        assert file.stat().st_mode & 0o777 == 0o600
        file.unlink()


def test_refusals_exit_with_two(ktjob_home: Path, model: str) -> None:
    """And say what to do."""
    for words, said in (
        (("--model", model, "--host", "0.0.0.0"), "KTJOB_API_KEY"),
        (("--model", model, "--", "--api-key", "x"), "process list"),
        (("--model", model, "--context", "1048576", "--mem-fraction", "0.7"), "wait forever"),
        (("--model", model, "--profile", "nothing"), "ktserver profiles"),
        ((), "--model"),
    ):
        assert said in ktserver("plan", *words, code=2).stderr


@pytest.mark.unit_checker
def test_systemd_accepts_the_unit(
    ktjob_home: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its own checker reads it, with a path that wants quoting and a key."""
    monkeypatch.setenv("KTJOB_API_KEY", "k3y-of-mine")
    odd = tmp_path / 'odd "100%" $HOME'
    odd.mkdir()
    unit = tmp_path / "model.service"
    python = ("--python", sys.executable)
    unit.write_text(ktserver("plan", "--model", str(odd), *python, "--systemd", *VERSION).stdout)
    assert unit_checker.complaints(unit) == []
    for line in ("KillMode=mixed", "TimeoutStopSec=90", "LimitMEMLOCK=infinity"):
        assert line in unit.read_text()
    assert "$$HOME" in unit.read_text()
    assert "100%%" in unit.read_text()


@pytest.mark.unit_checker
def test_the_checker_is_no_dummy(tmp_path: Path) -> None:
    """It notices a setting that there is not."""
    unit = tmp_path / "model.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nKillMood=mixed\n")
    assert any("KillMood" in line for line in unit_checker.complaints(unit))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine-version", "banana"), "'banana' is not a version; for example: 0.7.2"),
        (("--engine-version", ""), "'' is not a version"),
        (("--tensor-parallel-size", "0"), "--tensor-parallel-size 0: it must be at least 1"),
        (("--port", "0"), "--port 0: the port must be between 1 and 65535"),
        (("--host", ""), "--host: name the address"),
        (("--profile", "nope"), "nope"),
    ],
)
def test_values_that_no_server_could_use_are_refused(
    ktjob_home: Path, model: str, words: tuple[str, str], said: str
) -> None:
    """One line and exit code 2, by `plan` and by `up`; an empty value is not the default."""
    for command in ("plan", "up"):
        assert said in ktserver(command, "--model", model, *words, code=2).stderr


def test_an_unknown_profile_is_named_before_a_missing_model(ktjob_home: Path) -> None:
    """By every command that plans."""
    for command in ("plan", "up", "doctor"):
        assert "no profile 'nope'" in ktserver(command, "--profile", "nope", code=2).stderr


@pytest.mark.promise
def test_a_command_is_judged_beside_the_plan(ktjob_home: Path, model: str) -> None:
    """`kt run` of the guide's model: in words and as JSON, and exit code 1 for what harms."""
    told = ktserver("plan", "--compare", "--", "kt", "run", model, code=1)
    assert "ERROR  --max-total-tokens: 40000; the plan: not set\n" in told.stdout
    assert "more than 35,584 tokens waits forever" in told.stdout
    assert "prompts   of up to 35,584 tokens; the plan's server: up to " in told.stdout
    assert f"instead with: ktserver up --profile {MAIN} --model" in told.stdout
    as_json = ktserver("plan", "--compare", "--json", "--", "kt", "run", model, code=1)
    found = json.loads(as_json.stdout)
    assert (found["longest"], found["has_harm"], found["profile"]) == (35_584, True, MAIN)
    method = next(one for one in found["differences"] if one["what"] == "--kt-method")
    assert (method["theirs"], method["plan"], method["severity"]) == ("AMXINT4", "MXFP4", "error")
    assert set(method) == {"severity", "what", "theirs", "plan", "effect", "source"}
    assert not ktjob_home.exists() or list(ktjob_home.iterdir()) == []


def test_the_plans_own_command_is_no_harm(ktjob_home: Path, model: str) -> None:
    """What `ktserver plan` prints, given back to it; and a profile for another engine."""
    plan = json.loads(ktserver("plan", "--model", model, *VERSION, "--json").stdout)
    variables = [f"{name}={value}" for name, value in plan["environment"].items()]
    command = [*variables, "python3", *plan["argv"][1:]]
    told = ktserver("plan", "--compare", *VERSION, "--", *command)
    assert told.stdout.endswith("no difference from the plan\n")
    tail = ("python3", "-m", "sglang.launch_server", "--model-path", "Qwen/Qwen3-32B")
    other = ktserver("plan", "--compare", "--", "docker", "run", "--gpus", "all", "img:1", *tail)
    assert "note      compared with the profile generic-sglang\n" in other.stdout
    assert "note      the packages in the image are not looked at\n" in other.stdout
    assert "0 errors, 1 warning" in other.stdout


def test_what_cannot_be_compared_is_refused(ktjob_home: Path, model: str) -> None:
    """With the reason, exit code 2, and no key in what is printed."""
    server = ("python3", "-m", "sglang.launch_server")
    for words, said in (
        ((), "--compare needs the command after `--`"),
        (("--", "vllm", "serve", model), "no `python -m sglang.launch_server`"),
        (("--", "docker", "run", "img:1"), "docker inspect"),
        (("--", "kt", "run"), "without a model"),
        (("--", *server, "--tp", "4"), "no --model"),
        (("--", *server, "--model", "/m/Llama-4", "--kt-method", "FP8"), "name one with --profile"),
        (("--", "kt", "run", "m"), "no profile is known for m: name one with --profile"),
        (("--sh", "--", "kt", "run", model), "--compare prints text or --json"),
        (("--as-guide", "--", "kt", "run", model), "--as-guide"),
        (("--profile", "nope", "--", "kt", "run", model), "no profile 'nope'"),
    ):
        assert said in ktserver("plan", "--compare", *words, code=2).stderr
    told = ktserver("plan", "--compare", "--", *server, "--model", "m", "--api-key", "k3y-of-mine")
    assert "k3y-of-mine" not in told.stdout + told.stderr
    assert "warn   --api-key: (a key)" in told.stdout
