"""What a start does before it loads anything, tried in the server's interpreter: imports, the
engine's own argument parser, the model's configuration and tokenizer, compilers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from jobs import durations
from server_bundle.doctor.case import Case
from server_bundle.doctor.facts import import_steps, nvidia
from server_bundle.doctor.facts.import_steps import Outcome, Step
from server_bundle.doctor.finding import Finding, error, note, ok, warning
from server_bundle.logs import explain
from server_bundle.plan import key_file

ABOUT = "imports"
_SOURCE = "tried in the server's interpreter"
_OPTIONAL = {"z3": "z3-solver", "tvm_ffi": "apache-tvm-ffi", "tilelang": "tilelang"}
"""Imported by a start where they are installed -> their packages."""
_NO_DRIVER = re.compile(
    r"libcuda\.so|Found no NVIDIA driver|No CUDA GPUs are available|Torch not compiled with CUDA|"
    r"compute_cap automatically"
)
_FRAME = re.compile(r'^\s*(?:\| )?File "(.+)", line (\d+), in ')
_SIGNALS = {4: "SIGILL, an illegal instruction", 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV"}


def steps(case: Case) -> list[Step]:
    """What to try for this plan, the cheapest first: each builds on those before it."""
    packages, wants_gpus = case.inside.packages, case.wants_gpus > 0
    names = ["triton"] if "triton" in packages else []
    names += ["transformers"]
    names += ["kt_kernel"] if case.uses_cpu_experts else []
    names += [name for name, package in _OPTIONAL.items() if package in packages]
    names += ["flashinfer"] if "flashinfer-python" in packages and wants_gpus else []
    names += ["sgl_kernel"] if wants_gpus else []
    names += ["sglang", "sglang.srt.server_args"]
    found = [Step("import torch", "import", "torch"), Step("torch's GPUs", "torch", None)]
    found += [Step(f"import {name}", "import", name) for name in names]
    argv = arguments(case)
    found.append(Step("the engine's argument parser", "arguments", argv))
    found += _of_model(case)
    server = "sglang.srt.entrypoints.http_server"
    found.append(Step(f"import {server}", "import", server))
    found.append(Step("compilers for kernels", "compilers", _compilers(case)))
    if case.checkpoint.architectures and (case.gpus or not wants_gpus):
        found.append(Step("the engine's own check of its arguments", "settings", argv))
    return found


def arguments(case: Case) -> list[str]:
    """The plan's flags for the engine: without the interpreter, the entry, and the file of the key,
    which no check may read."""
    words = list(case.plan.argv)
    at = next((place for place, word in enumerate(words) if word.startswith("--")), len(words))
    words = words[at:]
    for place, word in enumerate(words[:-1]):
        if word == "--config" and words[place + 1].endswith(key_file.NAME):
            words = words[:place] + words[place + 2 :]
            break
    return words if case.flags.has("--model", "--model-path") else [*words, "--model-path", "."]


def _of_model(case: Case) -> list[Step]:
    if not case.checkpoint.architectures:
        return []
    trust = case.flags.has("--trust-remote-code")
    model = {"model": str(case.plan.weights), "trust": trust}
    tokenizer = {**model, "model": case.flags.text("--tokenizer-path") or model["model"]}
    name = case.checkpoint.architectures[0]
    return [
        Step("the model's configuration", "config", model),
        Step("the model's tokenizer", "tokenizer", tokenizer),
        Step(f"sglang's module of {name}", "model", name),
    ]


def _compilers(case: Case) -> dict[str, object]:
    """`nvcc`: where flashinfer looks for it; None where there is none or no GPU is wanted."""
    named = case.environment.get("CC")
    home = case.environment.get("CUDA_HOME") or case.environment.get("CUDA_PATH")
    places = [*([f"{home}/bin/nvcc"] if home else []), "nvcc", "/usr/local/cuda/bin/nvcc"]
    known = (one for one in places if nvidia.cuda_of_compiler(case.machine, one))
    nvcc = next(known, None) if case.wants_gpus else None
    capability = next((gpu.capability for gpu in case.gpus if gpu.capability), None)
    arch = [f"-arch=sm_{capability[0]}{capability[1]}"] if capability else []
    compilers = [named] if named else ["gcc", "clang", "cc"]
    return {"cc": compilers, "nvcc": nvcc, "nvcc_flags": arch}


def judge(case: Case, outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    """One finding for each different failure, and one for all that went well."""
    good = [one for one in outcomes if one.is_good]
    if good:
        seconds = sum(one.seconds for one in good)
        names = ", ".join(one.step.name.removeprefix("import ") for one in good)
        yield ok(
            ABOUT, f"{len(good)} of {len(outcomes)} steps in {durations.rough(seconds)} s: {names}"
        )
    yield from _torch(case, good)
    bad = [one for one in outcomes if not one.is_good and not one.is_skipped]
    told = sorted(((_key(one), place, one) for place, one in enumerate(bad)), key=lambda x: x[:2])
    groups = [[one for *_, one in group] for _, group in groupby(told, key=lambda one: one[0])]
    for group in sorted(groups, key=lambda group: bad.index(group[0])):
        yield _failed(case, group)
    if skipped := [one.step.name for one in outcomes if one.is_skipped]:
        why = "too much went wrong before, or too much time was spent"
        yield warning(
            ABOUT, f"not tried: {', '.join(skipped)}", why, _SOURCE, "fix that, try again"
        )


def _key(one: Outcome) -> str:
    if one.died is not None or one.is_late:
        return f"{one.died} {one.is_late} {one.lines[-1:]}"
    proof = _proof(one).partition(" from ")  # whatever name was taken from a module that is gone
    return "".join(proof[1:]) or proof[0]


def _proof(one: Outcome) -> str:
    """The line that says what is wrong: the cause's where it is known, else the exception's."""
    known = explain.explain(one.lines).found
    if known:
        return known[0].evidence[-1].text
    worded = [line for line in one.lines if re.match(r"^[\w.]+(?:Error|Exception|Exit)\b", line)]
    return (worded or list(one.lines) or ["no output"])[-1].strip()


def _place(one: Outcome) -> str:
    """The innermost frame of its traceback."""
    frames = [found for line in one.lines if (found := _FRAME.match(line))]
    return f", {frames[-1][1]}:{frames[-1][2]}" if frames else ""


def _failed(case: Case, group: Sequence[Outcome]) -> Finding:
    first = group[0]
    others = [one.step.name.removeprefix("import ") for one in group[1:]]
    name = first.step.name + (f" (and so {', '.join(others)})" if others else "")
    text = "\n".join(first.lines)
    if case.wants_gpus and not case.gpus and _NO_DRIVER.search(text):
        why = "it needs the NVIDIA driver, which this machine does not have"
        return note(
            ABOUT, f"{name}: not checked", why, _SOURCE, "run it on the machine of the GPUs"
        )
    proof = f"{_proof(first)}{_place(first)}"
    known = explain.explain(first.lines, first.died).found
    if first.is_late:
        why = f"no end after {durations.rough(first.seconds)} s; its last line: {_proof(first)}"
        cure = "look at the network, the disk and the driver: a start would hang here too"
        return error(ABOUT, f"{name} hangs", why, _SOURCE, cure)
    if known:
        cause = known[0].cause
        source = f"{_SOURCE}; {cause.source}"
        return error(ABOUT, f"{name}: {cause.title}", proof, source, cause.cure)
    if first.died is not None:
        ended = _SIGNALS.get(-first.died, f"exit code {first.died}")
        cure = "reinstall the package; after SIGILL install the build for this CPU"
        return error(ABOUT, f"{name} ends the process: {ended}", proof, _SOURCE, cure)
    return _unexplained(case, first, name, proof)


def _unexplained(case: Case, first: Outcome, name: str, proof: str) -> Finding:
    pip = f"{case.plan.python} -m pip install"
    if first.absent:
        cure = f"{pip} the package with the module {first.absent}, at the version that "
        cure += f"{case.plan.engine} names (pip show -v {case.plan.engine})"
    elif first.step.kind in ("arguments", "settings"):
        cure = "correct the flag: options differ between engines and their versions"
    elif first.step.kind == "compilers":
        cure = "install a compiler that the other one supports, or the headers (python3-dev)"
    else:
        cure = "reinstall the package whose file the line names, or see `ktserver install`"
    package = _OPTIONAL.get(str(first.step.argument))
    is_spare = package is not None and package != "z3-solver" and not case.is_deepseek_v4
    kind = warning if is_spare else error
    return kind(ABOUT, f"{name} fails", proof, _SOURCE, cure)


def _torch(case: Case, good: Sequence[Outcome]) -> Iterator[Finding]:
    """Whether torch sees the GPUs that nvidia-smi lists, and was built for them."""
    facts = next((one.facts for one in good if one.step.kind == "torch"), None)
    if facts is None or not case.wants_gpus or not case.gpus:
        return
    if not facts["available"] or facts["count"] < case.wants_gpus:
        seen = f"torch {facts['version']} sees {facts['count']} of {case.wants_gpus} GPUs"
        why = f"nvidia-smi lists {len(case.gpus)}; torch is built for CUDA {facts['cuda']}"
        cure = "compare CUDA_VISIBLE_DEVICES, the driver's CUDA and torch's"
        yield error(ABOUT, seen, why, _SOURCE, cure)
        return
    built = {str(one).removeprefix("sm_").removeprefix("compute_") for one in facts["built"]}
    for gpu in case.gpus[: case.wants_gpus]:
        if gpu.capability is None or not built:
            continue
        major, minor = gpu.capability
        if not any(_runs_on(one, major, minor) for one in built):
            seen = f"torch {facts['version']} has no code for {gpu.name} (sm_{major}{minor})"
            why = f"it is built for {', '.join(sorted(built))}"
            cure = "install a torch for the CUDA that this GPU needs"
            yield error(ABOUT, seen, why, "pytorch #167244", cure)
            return


def _runs_on(built: str, major: int, minor: int) -> bool:
    """`90a` runs on 9.0 alone, `80` also on later minor versions of 8: 8.6, 8.9."""
    number = built.rstrip("af")
    if not number.isdigit() or int(number[:-1] or 0) != major:
        return False
    return int(number[-1]) == minor or (number == built and int(number[-1]) < minor)


def run(case: Case, limits: import_steps.Limits, on_step: import_steps.OnStep) -> list[Outcome]:
    """Try the steps. Raises OSError where there is no such interpreter."""
    return import_steps.run(case.plan.python, steps(case), case.environment, limits, on_step)
