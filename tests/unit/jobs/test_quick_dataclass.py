"""`jobs.quick_dataclass.record` makes what `dataclass(frozen=True)` makes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from jobs.quick_dataclass import record


@record(frozen=True)
class Ours:
    """Without defaults, with one, with one that is made anew, with one that is not shown."""

    name: str
    size: int | None
    kind: str = "plain"
    notes: Mapping[str, int] = field(default_factory=dict)
    secret: str = field(default="", repr=False)

    @property
    def double(self) -> int:
        return 2 * (self.size or 0)


@dataclass(frozen=True)
class Theirs:
    """The same."""

    name: str
    size: int | None
    kind: str = "plain"
    notes: Mapping[str, int] = field(default_factory=dict)
    secret: str = field(default="", repr=False)


@pytest.mark.parametrize(
    ("args", "given"),
    [
        (("a", 1), {}),
        (("a", None, "odd"), {"secret": "hidden"}),
        ((), {"size": 2, "name": "b", "notes": {"x": 1}}),
    ],
)
def test_it_has_the_same_values_and_the_same_look(
    args: tuple[Any, ...], given: dict[str, Any]
) -> None:
    """By place, by name, with and without defaults."""
    ours, theirs = Ours(*args, **given), Theirs(*args, **given)
    assert asdict(ours) == asdict(theirs)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours") and "hidden" not in repr(ours)
    assert [one.name for one in fields(ours)] == [one.name for one in fields(theirs)]
    assert ours == Ours(*args, **given) and ours != replace(ours, name="other")
    assert ours != theirs and ours != tuple(asdict(ours).values())
    assert asdict(replace(ours, size=9)) == asdict(replace(theirs, size=9))
    for copied in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert copied == ours and type(copied) is Ours
    assert replace(ours, size=3).double == 6


def test_a_default_that_is_made_is_nobody_elses() -> None:
    """Each object has its own."""
    one, other = Ours("a", 1), Ours("a", 1)
    assert one.notes == other.notes == {} and one.notes is not other.notes


def test_equal_ones_hash_alike() -> None:
    """So that they can be keys; with what cannot be one inside, they cannot."""

    @record(frozen=True)
    class Pair:
        """Two words."""

        one: str
        other: str

    assert len({Pair("a", "b"), Pair("a", "b"), Pair("b", "a")}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours("a", 1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ours("a"),  # type: ignore[call-arg]
        lambda: Ours(size=1),  # type: ignore[call-arg]
        lambda: Ours("a", 1, name="b"),  # type: ignore[misc]
        lambda: Ours("a", 1, colour="red"),  # type: ignore[call-arg]
        lambda: Ours("a", 1, "b", {}, "c", "d"),  # type: ignore[call-arg]
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], Ours]) -> None:
    """Missing, twice, unknown, too many."""
    with pytest.raises(TypeError, match="Ours"):
        make()


def test_it_is_frozen() -> None:
    """Nothing in it is set or deleted, known or not."""
    one = Ours("a", 1)
    for name in ("name", "colour"):
        with pytest.raises(FrozenInstanceError, match=name):
            setattr(one, name, "b")
        with pytest.raises(FrozenInstanceError, match=name):
            delattr(one, name)
    assert one == Ours("a", 1)
