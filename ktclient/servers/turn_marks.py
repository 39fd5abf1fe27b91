"""The turn marks of the model that a server runs: by its tokenizer's own list, where its files are
on this machine; else by what the server says of its model and its tokens (llama.cpp); else by the
model's name.

What was found is remembered with the server's other facts, per server and model: a worker asks
again only if it is old, or if another process listens there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jobs import clock
from jobs.errors import StoreUnusable
from jobs.store.store import Store
from ktclient import urls
from ktclient.config.settings import Settings
from ktclient.documents import turn_marks
from ktclient.documents.turn_marks import TurnMarks
from ktclient.servers import listening, memory, queries
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.memory import Memory
from ktclient.tokens import special_tokens

_OF_MANY = ("llama", "LlamaForCausalLM")
"""An architecture that many families have (Yi, SmolLM): it says nothing of the marks."""
_LONGEST_MARK = 256
_MOST_NAMES = 2_000
"""Characters of names that are kept."""


@dataclass(frozen=True)
class Told:
    """What is known of a model's marks. `names`: of its folder and architecture; `own`: special
    tokens that it has; `is_whole`: it has no others."""

    names: str
    own: tuple[str, ...]
    is_whole: bool


def of(told: Told | None, model: str) -> TurnMarks:
    """The marks of a model; all that are known if nothing is known of it."""
    if told is None:
        return turn_marks.of_model(model)
    return turn_marks.of_model(f"{model} {told.names}", told.own, is_whole=told.is_whole)


def of_server(server: str, facts: ServerFacts, settings: Settings) -> TurnMarks:
    """For a command: as remembered, else as the server says within a few seconds. Creates no
    store; an existing one remembers the answer."""
    run = listening.run_of(facts.url)
    told = None
    with contextlib.suppress(StoreUnusable):
        store = Store.open_if_any(settings.state)
        if store is not None:
            with store:
                told, is_fresh = recall(store, server, facts.model, run)
                if is_fresh:
                    return of(told, facts.model)
    found = ask(facts, settings.key_for(server))
    if found is not None and not facts.is_asleep:  # asleep, it has not said all
        with contextlib.suppress(StoreUnusable):
            store = Store.open_if_any(settings.state)
            if store is not None:
                with store:
                    save(store, server, facts.model, found, run)
    return of(found or told, facts.model)


def ask(facts: ServerFacts, api_key: str | None) -> Told | None:
    """What the server says of its model, and what the files say that it names. None if it does not
    answer."""
    said = queries.model_told(facts, api_key)
    if said is None:
        return None
    text = " ".join(_names(said))[:_MOST_NAMES]
    path, template = said.get("tokenizer_path"), said.get("chat_template")
    if isinstance(path, str) and "\0" not in path and urls.is_local(facts.url):
        folder = special_tokens.folder_of(path)
        own = () if folder is None else special_tokens.of_folder(folder)
        return Told(text, own, is_whole=bool(own))
    own = special_tokens.of_template(template) if isinstance(template, str) else ()
    ends = [said.get(name) for name in ("bos_token", "eos_token")]
    own += tuple(one for one in ends if isinstance(one, str) and len(one) <= _LONGEST_MARK)
    known = queries.tokens_among(facts, api_key, turn_marks.doubtful())
    return Told(text, (*own, *sorted(known or ())), is_whole=known is not None)


def _names(said: Mapping[str, object]) -> Iterator[str]:
    architectures = said.get("architectures")
    names = [
        *(said.get(name) for name in ("model_path", "tokenizer_path", "model_alias", "model_type")),
        *(architectures if isinstance(architectures, list) else []),
    ]
    return (one for one in names if isinstance(one, str) and one not in _OF_MANY)


def recall(memory_: Memory, server: str, model: str, run: str | None) -> tuple[Told | None, bool]:
    """What is remembered of this model on this server, and whether it still holds."""
    note = memory_.recall(server, _name(model))
    if note is None:
        return None, False
    names, own = note.get("names"), note.get("own")
    if not isinstance(names, str) or not isinstance(own, list):
        return None, False
    told = Told(names, tuple(one for one in own if isinstance(one, str)), bool(note.get("whole")))
    return told, _is_fresh(
        str(note.get("told_at")), run is not None and run == note.get("run"), run
    )


def save(memory_: Memory, server: str, model: str, told: Told, run: str | None) -> None:
    note = {"names": told.names, "own": list(told.own), "whole": told.is_whole}
    memory_.remember(server, _name(model), {**note, "told_at": clock.now(), "run": run})


def _is_fresh(told_at: str, is_same_run: bool, run: str | None) -> bool:
    """A local server that was started anew may have another model under the same name."""
    if run is not None and not is_same_run:
        return False
    lasts = memory.LASTS_SAME_RUN_SECONDS if is_same_run else memory.LASTS_SECONDS
    try:
        return 0 <= clock.seconds_between(told_at, clock.now()) <= lasts
    except ValueError:
        return False


def _name(model: str) -> str:
    return f"marks of {model}"
