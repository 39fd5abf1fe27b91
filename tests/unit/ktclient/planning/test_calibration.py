"""What is remembered of prefills, and what is not worth it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ktclient.planning import calibration
from ktclient.planning.calibration import Measured
from ktclient.planning.prefill_time import GUIDE, Sample

H100 = json.loads((Path(__file__).parents[3] / "data/prefill/h100.json").read_text())


class Notebook(dict[tuple[str, str], dict[str, object]]):
    """A memory of the shape that the store has."""

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None:
        self[pool, name] = json.loads(json.dumps(value))

    def recall(self, pool: str, name: str) -> dict[str, object] | None:
        return self.get((pool, name))


def recorded(tag: str) -> Measured:
    known = H100["first_token"][tag]
    looks = [Sample(done, at) for at, done in H100["polls"].get(tag, [])]
    return Measured(looks, known["seconds"], known["tokens"], 0)


def learn(memory: Notebook, *prefills: Measured) -> list[bool]:
    return [calibration.record(memory, "http://a:1", "m", one) for one in prefills]


@pytest.mark.parametrize("next_one", ["pair_long", "two_a", "one"])
def test_one_prefill_predicts_the_next(next_one: str) -> None:
    """Through the memory and back."""
    memory = Notebook()
    assert learn(memory, recorded("long")) == [True]
    belief = calibration.model(memory, "http://a:1", "m")
    known = H100["first_token"][next_one]
    assert belief is not None
    assert belief.first_token(known["tokens"]).seconds == pytest.approx(known["seconds"], rel=0.1)


def test_a_server_without_any_progress_teaches_too() -> None:
    """By its whole time alone; the same size is then known, and a near one nearly."""
    memory = Notebook()
    learn(memory, recorded("two_a"))
    belief = calibration.model(memory, "http://a:1", "m")
    known = H100["first_token"]["two_a"]
    assert belief is not None
    assert belief.first_token(known["tokens"]).seconds == pytest.approx(known["seconds"], rel=0.1)


def test_each_server_and_model_has_its_own() -> None:
    """A model that is nine times as big takes nine times as long."""
    memory = Notebook()
    learn(memory, recorded("long"))
    assert calibration.model(memory, "http://a:1", "other") is None
    assert calibration.model(memory, "http://b:1", "m") is None


@pytest.mark.parametrize(
    "useless",
    [Measured([], 1.0, 100_000, 90_000), Measured([], 0.1, 20, 0)],
    ids=["cached", "tiny"],
)
def test_what_tells_nothing_is_not_kept(useless: Measured) -> None:
    """A cached prompt and a tiny one say nothing about a long one."""
    memory = Notebook()
    assert learn(memory, useless) == [False] and not memory


def test_the_last_three_are_kept() -> None:
    """A server that became twice as slow is known again, and the memory stays small."""
    memory = Notebook()
    learn(memory, *[Measured([], GUIDE.seconds(0, 100_000), 100_000, 0)] * 5)
    learn(memory, *[Measured([], 2 * GUIDE.seconds(0, 100_000), 100_000, 0)] * 3)
    belief = calibration.model(memory, "http://a:1", "m")
    assert belief is not None
    expected = 2 * GUIDE.seconds(0, 100_000)
    assert belief.first_token(100_000).seconds == pytest.approx(expected, rel=0.02)
    kept = len(next(iter(memory.values()))["looks"])  # type: ignore[arg-type]
    assert kept == calibration.KEPT


@pytest.mark.parametrize("damaged", [None, 1, [1], [[["a", 1], [2, 3]]], [[]]])
def test_a_damaged_memory_is_none(damaged: object) -> None:
    """It is learned anew."""
    memory = Notebook({("http://a:1", "prefills of m"): {"looks": damaged}})
    assert calibration.model(memory, "http://a:1", "m") is None
    assert learn(memory, recorded("long")) == [True]
