"""The deep checks: what a start does before it loads anything, tried in the server's interpreter.

They import gigabytes of libraries and take half a minute. Importing fills the caches of those
libraries as a start does (`__pycache__`, unpacked and compiled kernels); a server is not started,
and no weights are read.
"""

from __future__ import annotations

from server_bundle.doctor.case import Case
from server_bundle.doctor.checks import imports
from server_bundle.doctor.facts.import_steps import LIMITS, Limits, OnStep, Step
from server_bundle.doctor.facts.machine import Machine
from server_bundle.doctor.finding import Finding, error
from server_bundle.plan.launch_plan import LaunchPlan

__all__ = ["Limits", "Step", "examine"]


def _quiet(step: Step, seconds: float) -> None:
    pass


def examine(
    plan: LaunchPlan, machine: Machine, limits: Limits = LIMITS, on_step: OnStep = _quiet
) -> list[Finding]:
    """The findings about imports, arguments, configuration, tokenizer and compilers. `on_step` is
    called with the running step and its seconds, about twice a second. All processes that it starts
    have ended when it returns. A plan without a model is fine, as after an installation: what needs
    one is left out. An interpreter without the engine gives no findings here: the plain
    checks say so.
    """
    case = Case(plan, machine)
    if case.inside.trouble or case.inside.packages.get(plan.engine) is None:
        return []
    try:
        outcomes = imports.run(case, limits, on_step)
    except OSError as trouble:
        seen = f"{plan.python} cannot be started: {trouble.strerror or trouble}"
        cure = "name the interpreter of the server's venv: --python VENV/bin/python"
        return [error(imports.ABOUT, seen, "it must run the server", "", cure)]
    return list(imports.judge(case, outcomes))
