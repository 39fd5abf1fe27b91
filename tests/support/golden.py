"""What each profile starts, as scripts in tests/data/golden: `python tests/support/golden.py`
writes them anew, `tests/unit/test_golden_plans.py` compares."""

from __future__ import annotations

from pathlib import Path

from server_bundle.plan import build, profile, version_rules
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.overrides import Overrides

FOLDER = Path(__file__).parents[1] / "data/golden"
MACHINE = MachineFacts(physical_cores=128, numa_nodes=2, gpus=8)
"""The guide's CPUs: two sockets of 64 cores."""
VERSIONS = {"sglang-kt": ("0.6.2.post3", "0.7.2"), "sglang": ("0.5.17", "0.5.23")}


def scripts() -> dict[str, str]:
    """File name -> script."""
    found = {}
    for name in profile.names():
        one = profile.load(name)
        for version in VERSIONS.get(one.engine, ()):
            if one.since is None or version_rules.order(version) >= version_rules.order(one.since):
                found[f"{name}_{version}.sh"] = script(name, version)
        if one.engine != profile.LLAMA_CPP:
            found[f"{name}_as-guide.sh"] = script(name, VERSIONS[one.engine][-1], as_guide=True)
    return found


def wish(name: str, version: str, *, as_guide: bool = False) -> Overrides:
    served = profile.load(name).served_name or "Model"
    model = f"/path/to/{served}"
    return Overrides(model=model, python="python", version=version, as_guide=as_guide)


def script(name: str, version: str, *, as_guide: bool = False) -> str:
    one = profile.load(name)
    return build.launch_plan(one, wish(name, version, as_guide=as_guide), MACHINE).script()


def differences(name: str, version: str) -> str:
    """What a profile does otherwise than its source, as docs/server.md has it."""
    planned = build.with_differences(profile.load(name), wish(name, version), MACHINE)
    rows = ["| what | the guide | here | why | evidence |", "|---|---|---|---|---|"]
    for one in planned.differences:
        cells = (f"`{one.what}`", one.before, one.after, one.reason, one.evidence)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _write() -> None:
    for name, text in scripts().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    _write()
