"""The server's doctor on weights: whole, cut, missing, mixed, and of another model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.machines import Recorded, guide, safetensors, weights

from server_bundle import doctor
from server_bundle.doctor import Finding, Severity
from server_bundle.doctor.facts import safetensors as reading
from server_bundle.plan.launch_plan import LaunchPlan


def about_weights(box: Recorded, plan: LaunchPlan) -> list[Finding]:
    found = doctor.examine(plan, box.machine())
    return [one for one in found if one.about == "weights" and one.severity is not Severity.OK]


def shard(model: Path, number: int = 2) -> Path:
    return model / f"model-{number:05}-of-00003.safetensors"


def test_a_missing_file_is_named(box: Recorded, model: Path) -> None:
    shard(model).unlink()
    (model / "x.safetensors.incomplete").touch()
    missing, leftover = about_weights(box, guide(model))
    assert missing.severity is Severity.ERROR
    assert "1 files of the index are missing: model-00002" in missing.found
    assert leftover.severity is Severity.NOTE
    assert "x.safetensors.incomplete" in leftover.found


@pytest.mark.parametrize("change", [-1, 1, -1_000_000])
def test_a_file_of_another_size_than_its_header_says(
    box: Recorded, model: Path, change: int
) -> None:
    """One byte is enough: the server would find it after minutes."""
    size = shard(model).stat().st_size
    with shard(model).open("r+b") as file:
        file.truncate(size + change)
    (finding,) = about_weights(box, guide(model))
    assert finding.severity is Severity.ERROR
    assert f"{shard(model).name} (its size does not match" in finding.found
    assert f"{size + change:,} bytes instead of {size:,}" in finding.found


@pytest.mark.parametrize(
    "content",
    [b"", b"\x10", b"\xff" * 64, b"\x08" + b"\0" * 7 + b"not json", b"\x04" + b"\0" * 7 + b"null"],
)
def test_a_file_without_a_readable_header(box: Recorded, model: Path, content: bytes) -> None:
    shard(model).write_bytes(content)
    (finding,) = about_weights(box, guide(model))
    assert finding.severity is Severity.ERROR
    assert shard(model).name in finding.found


def test_a_pointer_of_git_lfs_is_called_one(box: Recorded, model: Path) -> None:
    shard(model).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    (finding,) = about_weights(box, guide(model))
    assert "a git-lfs pointer, not the file" in finding.found


def test_tensors_that_no_file_has(box: Recorded, model: Path) -> None:
    """Files of two versions in one folder."""
    index = model / reading.INDEX
    table = json.loads(index.read_text())
    table["weight_map"]["model.layers.9.experts.weight"] = shard(model).name
    index.write_text(json.dumps(table))
    (finding,) = about_weights(box, guide(model))
    assert "1 tensors of the index are in none of the files" in finding.found


@pytest.mark.parametrize("content", ["", "{", "[]", '{"weight_map": 3}'])
def test_an_index_that_cannot_be_read(box: Recorded, model: Path, content: str) -> None:
    (model / reading.INDEX).write_text(content)
    assert any(one.severity is Severity.ERROR for one in about_weights(box, guide(model)))


def test_no_index_means_what_is_there(box: Recorded, model: Path) -> None:
    (model / reading.INDEX).unlink()
    assert about_weights(box, guide(model)) == []


def test_no_folder_and_no_weights(box: Recorded, tmp_path: Path) -> None:
    """A name on the hub is no mistake, but cannot be looked at."""
    (finding,) = about_weights(box, guide(tmp_path / "nowhere"))
    assert (finding.severity, "does not exist" in finding.found) == (Severity.ERROR, True)
    plan = guide(Path("deepseek-ai/DeepSeek-V4-Flash"))
    assert [one.severity for one in about_weights(box, plan)] == [Severity.NOTE]
    empty = tmp_path / "empty"
    empty.mkdir()
    found = [one.found for one in about_weights(box, guide(empty))]
    assert found == [f"{empty}: config.json is missing", f"no .safetensors in {empty}"]
    (empty / "model-Q4.gguf").touch()
    assert "only model-Q4.gguf" in about_weights(box, guide(empty))[1].found


def test_random_weights_need_no_files(box: Recorded, model: Path) -> None:
    for path in model.glob("*.safetensors*"):
        path.unlink()
    (finding,) = about_weights(box, guide(model, "--load-format", "dummy"))
    assert finding.severity is Severity.NOTE


def test_another_model_than_the_profile_is_for(box: Recorded, tmp_path: Path) -> None:
    """With DeepSeek V4's variables, that is a crash of its own."""
    model = weights(tmp_path / "Qwen3", architectures=["Qwen3MoeForCausalLM"])
    found = [one for one in doctor.examine(guide(model), box.machine()) if one.cure]
    assert [(one.about, one.severity) for one in found] == [
        ("environment", Severity.ERROR),
        ("weights", Severity.ERROR),
    ]
    assert "2604B for Qwen3MoeForCausalLM" in found[0].found
    assert "but the profile is deepseek-v4-flash-4x5090" in found[1].found


def test_code_of_the_models_own(box: Recorded, tmp_path: Path) -> None:
    model = weights(tmp_path / "m", auto_map={"AutoConfig": "configuration_x.XConfig"})
    argv = [word for word in guide(model).argv if word != "--trust-remote-code"]
    (finding,) = about_weights(box, guide(model, argv=tuple(argv)))
    assert finding.severity is Severity.WARNING
    assert about_weights(box, guide(model)) == []


def test_a_window_may_be_stretched_by_configuration_or_by_force(
    box: Recorded, tmp_path: Path
) -> None:
    scaled = {"max_position_embeddings": 65536, "rope_scaling": {"factor": 16, "type": "yarn"}}
    assert about_weights(box, guide(weights(tmp_path / "scaled", **scaled))) == []
    short = weights(tmp_path / "short", max_position_embeddings=65536)
    assert "the model's window is 65,536" in about_weights(box, guide(short))[0].found
    forced = {"SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN": "1"}
    assert about_weights(box, guide(short, environment=forced)) == []


def test_experts_in_a_folder_of_their_own(box: Recorded, model: Path, tmp_path: Path) -> None:
    """Converted ones have no configuration; a missing option is worth gigabytes of GPU memory."""
    experts = tmp_path / "experts"
    experts.mkdir()
    safetensors(experts / "layer-0.safetensors", {"t": {"data_offsets": [0, 100]}})
    assert about_weights(box, guide(model, "--kt-weight-path", str(experts))) == []
    (experts / "layer-0.safetensors").write_bytes(b"cut")
    (finding,) = about_weights(box, guide(model, "--kt-weight-path", str(experts)))
    assert "layer-0.safetensors" in finding.found
    argv = [word for word in guide(model).argv if word not in ("--kt-weight-path", str(model))]
    (finding,) = about_weights(box, guide(model, argv=(*argv, "--model", str(model))))
    assert finding.found == "no --kt-weight-path"


def test_a_path_that_is_no_folder_says_what_is_there(box: Recorded, tmp_path: Path) -> None:
    """A file of it, a slip in its name, or nothing alike."""
    model = weights(tmp_path / "DeepSeek-V4-Flash", gib=0.001)
    for named, found, cure in (
        (model / "config.json", "is a file, not a folder", f"--model {model}"),
        (tmp_path / "DeepSeek-V4-Flsh", "does not exist", f"there is {model}"),
        (tmp_path / "Qwen", "does not exist", "correct --model"),
        (tmp_path / "no/such/place", "does not exist", "correct --model"),
    ):
        seen = doctor.examine(guide(named), box.machine())
        (finding,) = [one for one in seen if one.about == "weights"]
        assert finding.severity is Severity.ERROR
        assert found in finding.found
        assert finding.cure.endswith(cure)
