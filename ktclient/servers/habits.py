"""What servers have shown of themselves while they computed, and no query of theirs says.

A shared cache: requests together filled one KV cache, and died; for a day, such a server gets one
request of ktjob's at a time. Answers: whether it answers queries while it reads a prompt; one that
never did is not called hung for its silence. Both hold until another process listens there.
"""

from __future__ import annotations

from jobs import clock
from ktclient.servers.dialects import sglang
from ktclient.servers.memory import Memory

CACHE_SECONDS = 86_400.0
_CACHE, _ANSWERS = "shared cache", "answers while it reads"


def prove_shared_cache(memory: Memory, server: str, run: str | None) -> None:
    """Remember it, of the run that `listening.run_of` names."""
    memory.remember(server, _CACHE, {"told_at": clock.now(), "run": run})


def has_shared_cache(memory: Memory, server: str, run: str | None) -> bool:
    """Whether it is remembered, and still holds."""
    note = _note(memory, server, _CACHE, run)
    if note is None:
        return False
    try:
        return 0 <= clock.seconds_between(str(note.get("told_at")), clock.now()) <= CACHE_SECONDS
    except ValueError:
        return False


def learn_answers(memory: Memory, server: str, run: str | None, *, answers: bool) -> None:
    """Remember whether it answered while it read a prompt, to the prompt's end."""
    memory.remember(server, _ANSWERS, {"answers": answers, "run": run})


def is_known_to_answer(memory: Memory, server: str, run: str | None, dialect: str) -> bool:
    """Whether silence of this server would be news: it has answered during an earlier prefill, or
    its kind does (sglang's HTTP process is another one than its scheduler), and nothing has shown
    the contrary."""
    note = _note(memory, server, _ANSWERS, run)
    answers = None if note is None else note.get("answers")
    return answers if isinstance(answers, bool) else dialect == sglang.NAME


def _note(memory: Memory, server: str, name: str, run: str | None) -> dict[str, object] | None:
    note = memory.recall(server, name)
    told_run = None if note is None else note.get("run")
    is_another = run is not None and told_run is not None and run != told_run
    return None if is_another else note
