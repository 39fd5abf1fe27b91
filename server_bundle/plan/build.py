"""From a profile, overrides and a machine to the launch plan of one server. Pure."""

from __future__ import annotations

from server_bundle.plan import overrides
from server_bundle.plan.flags import Draft, Planned
from server_bundle.plan.launch_plan import LaunchPlan
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.overrides import Overrides
from server_bundle.plan.profile import Profile


def launch_plan(profile: Profile, wish: Overrides, machine: MachineFacts) -> LaunchPlan:
    """The plan alone. Raises `PlanRefused`."""
    return with_differences(profile, wish, machine).plan


def with_differences(profile: Profile, wish: Overrides, machine: MachineFacts) -> Planned:
    """The plan with its reasons. Raises `PlanRefused` for contradictory settings."""
    wish = overrides.with_defaults(profile, wish)
    overrides.validate(profile, wish)
    draft = Draft(profile, wish, machine)
    draft.fill()
    if not wish.as_guide:
        draft.take_wishes()
        draft.keep_rules()
    draft.tell()
    return draft.planned()
