"""The rule of `--server any`, step by step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.model import Capacity
from ktclient.errors import ConnectionRefused
from ktclient.planning.several import choice, reports
from ktclient.planning.several.choice import LONG_TOKENS, Line, Need, Several
from ktclient.planning.several.reports import CONFIGURED, ServerModel, ServerReport

POOL = Capacity(tokens=100_000, slots=4, affinity=True)
SHORT, LONG = Need(100, 50, "doc"), Need(LONG_TOKENS, 50, "doc")


def _server(name: str, window: int | None = 50_000, model: str = "m") -> ServerReport:
    models = (ServerModel(model, window),)
    url = f"http://{name}"
    return ServerReport(
        *(name, url, CONFIGURED),
        state=reports.READY,
        model=model,
        models=models,
        window=window,
    )


A, B, C = _server("a"), _server("b"), _server("c")


def _chosen(need: Need, servers: list[ServerReport], **lines: Line) -> str:
    several = Several(servers, {f"http://{name}": line for name, line in lines.items()})
    return several.take(need, None).server


def test_of_equal_servers_the_first_in_the_file() -> None:
    assert _chosen(SHORT, [A, B, C]) == "a"
    assert _chosen(SHORT, [C, B, A]) == "c"


def test_one_into_which_the_request_does_not_fit_is_the_last_choice() -> None:
    small, smaller, unknown = _server("s", 120), _server("t", 110), _server("u", None)
    busy = Line(9, 90_000, frozenset(), POOL)
    assert _chosen(SHORT, [small, A], a=busy) == "a"
    assert _chosen(SHORT, [small, unknown]) == "u"
    assert _chosen(SHORT, [smaller, small]) == "s"  # fits nowhere: the largest
    pool_is_less = replace(_server("p"), pool=120)
    assert _chosen(SHORT, [pool_is_less, A]) == "a"


def test_a_long_document_goes_where_it_is_read_and_a_short_one_where_it_is_free() -> None:
    reader = Line(4, 60_000, frozenset({"doc"}), POOL)
    assert _chosen(LONG, [A, B], b=reader) == "b"
    assert _chosen(SHORT, [A, B], b=reader) == "a"
    assert _chosen(replace(LONG, document="other"), [A, B], b=reader) == "a"


def test_one_that_could_start_now_is_before_one_with_less_work() -> None:
    full = Line(4, 1_000, frozenset(), POOL)  # its slots are
    free = Line(1, 20_000, frozenset(), POOL)
    assert _chosen(SHORT, [A, B], a=full, b=free) == "b"
    others = replace(A, state=reports.BUSY)  # other clients' requests
    assert _chosen(SHORT, [others, B], b=free) == "b"
    assert _chosen(SHORT, [replace(A, state=reports.STARTING), B]) == "b"


def test_where_none_is_free_the_least_work() -> None:
    assert (
        _chosen(SHORT, [A, B], a=Line(5, 900, capacity=POOL), b=Line(4, 800, capacity=POOL)) == "b"
    )


def test_each_request_counts_for_the_next() -> None:
    several = Several([A, B], {})
    needs = [replace(SHORT, document=str(number)) for number in range(4)]
    assert [several.take(need, None).server for need in needs] == ["a", "b", "a", "b"]
    parts = Several([A, B], {"http://a": Line(capacity=POOL), "http://b": Line(capacity=POOL)})
    again = [parts.take(replace(LONG, document=one), None).server for one in ("x", "y", "x", "y")]
    assert again == ["a", "b", "a", "b"]  # where each was read
    blind = Line(capacity=replace(POOL, affinity=False))  # no prefix cache
    others = Several([A, B], {"http://a": blind, "http://b": blind})
    assert [others.take(LONG, None).server for _ in "123"] == ["a", "b", "a"]


def test_those_that_serve_the_same_model_and_fit_may_take_it() -> None:
    away = replace(_server("away"), state=reports.AWAY)
    small, other = _server("s", 120), _server("o", model="n")
    taken = Several([A, other, small, away, B], {}).take(SHORT, None)
    assert (taken.server, taken.others) == ("a", ("http://b", "http://away"))
    assert Several([A, other, B], {}).take(SHORT, "n").server == "o"


def test_none_that_can_be_used() -> None:
    for servers, model in (([], None), ([replace(A, state=reports.AWAY)], None), ([A], "x")):
        with pytest.raises(ConnectionRefused, match="ktjob servers"):
            Several(servers, {}).take(SHORT, model)


def test_why_names_what_decided() -> None:
    def why(*lines: Line) -> str:
        known = {f"http://{name}": line for name, line in zip("ab", lines, strict=False)}
        return Several([A, B], known).take(LONG, None).why

    assert "free" in why()
    assert "read this document" in why(Line(), Line(1, 9, frozenset({"doc"}), POOL))
    full = Line(4, 9, frozenset(), POOL)
    assert "least work" in why(full, full)
    assert "only one" in Several([A], {}).take(SHORT, None).why
    assert choice.sha256("a").startswith("ca978112")
