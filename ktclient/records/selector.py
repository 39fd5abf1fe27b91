"""Which jobs are meant: ids, prefixes, `@last`, and the filters of `ktjob list`, the same for every
command and for `ktclient.select`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from jobs.errors import AmbiguousId, NoSuchJob
from jobs.model import Job, Outcome, Status
from jobs.quick_dataclass import record
from jobs.store import groups
from jobs.store.job_queries import END, Filter
from jobs.store.store import Store
from ktclient import times, wording
from ktclient.errors import BadInput

if TYPE_CHECKING:
    from ktclient.records.search import Documents

ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "LOST")
STATES = ("QUEUED", "RUNNING", *ENDED)
WAYS = "an ID or the beginning of one, @last, or a filter (--state, --since, --search, --group)"
GROUP = "@group"
"""The word for the newest group."""
_PLACE = re.compile(r"@last(?:-([0-9]{1,9}))?")
_TYPED_LIKE = 0.75
"""How much of an id must be as typed to be named as what was meant: six of eight characters."""
_LOOKED_AT = 1_000
_TITLE = 40


class Scope(Enum):
    """Which jobs a command acts on, where they are not named one by one."""

    ANY = "any"
    OPEN = "have not ended"
    ENDED = "have ended"
    UNSUCCESSFUL = "have failed, or were lost or cancelled"
    WAITING = "wait to start"
    HELD = "are held"

    def holds(self, job: Job) -> bool:
        """Whether the command acts on this job."""
        if self is Scope.ANY:
            return True
        if self is Scope.UNSUCCESSFUL:
            return job.outcome not in (None, Outcome.SUCCEEDED)
        if self is Scope.WAITING:
            return job.status is Status.QUEUED
        if self is Scope.HELD:
            return job.held_at is not None and job.status is not Status.FINISHED
        return (job.status is Status.FINISHED) == (self is Scope.ENDED)


@record(frozen=True)
class Selector:
    """Jobs by name, by filter, or both: then of the named ones those that match."""

    words: tuple[str, ...] = ()
    """Ids, unique prefixes, `@last` and `@last-3`, in the order given; those of groups too, and
    `@group`."""
    wanted: Filter = Filter()
    search: str | None = None
    """Words to look for, as `ktjob list --search` does."""
    in_documents: bool = False
    """Look for them in the texts of the documents too."""
    is_all: bool = False

    @property
    def has_filter(self) -> bool:
        return replace(self.wanted, parts=False) != Filter() or self.search is not None

    @property
    def is_one(self) -> bool:
        """Whether it names one job: programs then get one object, and no list."""
        return len(self.words) == 1 and not self.has_filter and not is_group(self.words[0])


@record(frozen=True)
class Selected:
    """The jobs that a selector means, each once: named ones in that order, else oldest first."""

    jobs: list[Job]
    passed_over: int = 0
    """How many match but are out of the command's scope. `--all` means those in it."""
    unread: int = 0
    """How many documents were not searched, because one search reads no more."""


def parse(  # noqa: PLR0913 - the words of every command
    words: Sequence[str] = (),
    *,
    states: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    label: str | None = None,
    server: str | None = None,
    search: str | None = None,
    places: str | None = None,
    group: str | None = None,
    is_all: bool = False,
) -> Selector:
    """A selector from what was typed; `places`: where `search` looks too, only "documents". Raises
    `BadInput`."""
    if places is not None and search is None:
        raise BadInput("--in says where --search looks: add --search WORDS")
    wanted = Filter(
        states=parse_states(states),
        since=None if since is None else times.parse_past(since, "--since"),
        until=None if until is None else times.parse_past(until, "--until"),
        label=wording.typed_text(label, "--label"),
        pool=wording.typed_text(server, "--server"),
        group_id=wording.typed_text(group, "--group"),
        parts=bool(words),  # a part that is named is meant
    )
    found = Selector(tuple(words), wanted, search, places is not None, is_all)
    if not (words or is_all or found.has_filter):
        raise BadInput(f"which jobs? Name {WAYS}, or --all")
    if words and is_all:
        raise BadInput("give either IDs or --all")
    return found


def parse_states(given: Sequence[str]) -> tuple[str, ...]:
    """State names in any case, several separated by commas; `ended` stands for all final states.
    Raises `BadInput`."""
    found: list[str] = []
    for given_name in (one.strip() for value in given for one in value.split(",")):
        name = given_name.upper()
        if name not in (*STATES, "ENDED"):
            raise BadInput(
                f'--state: unknown state "{given_name}"; use one of '
                f"{', '.join(STATES).lower()} or ended"
            )
        found += ENDED if name == "ENDED" else [name]
    return tuple(found)


def select(store: Store, selector: Selector, scope: Scope = Scope.ANY) -> Selected:
    """The jobs that are meant. Jobs named by their own ids are all there, whatever their state, if
    there is no filter; of those that only match a filter or belong to a named group, the ones in
    `scope`. Where nothing is changed (`ANY`), a filter finds no old attempt beside its retry.

    Raises `NoSuchJob` if a word or the filters match no job, `AmbiguousId`, and `BadInput`.
    """
    single = [one(store, word).id for word in selector.words if not is_group(word)]
    named = {job.id: job for word in selector.words for job in _named(store, word)}
    if selector.words and not selector.has_filter:
        jobs = [job for job in named.values() if job.id in single or scope.holds(job)]
        return Selected(jobs, len(named) - len(jobs))
    documents = _documents(store, selector)
    found = list(_matching(store, selector, documents))
    unread = 0 if documents is None else documents.unread
    if selector.words:
        matching = {job.id for job in found}
        found = [job for job in named.values() if job.id in matching]
    if not found and not selector.is_all:
        raise NoSuchJob("no job matches; `ktjob list` lists all jobs")
    if scope is Scope.ANY and not (selector.words or selector.is_all):
        found = _without_old(store, found)
    if selector.wanted.group_id is not None:
        places = [job.id for job in store.group(group_of(store, selector.wanted.group_id))]
        found.sort(key=lambda job: places.index(job.id))
    jobs = [job for job in found if scope.holds(job)]
    return Selected(jobs, 0 if selector.is_all else len(found) - len(jobs), unread)


def _without_old(store: Store, found: list[Job]) -> list[Job]:
    """Without jobs whose retry is among them too: it stands for both, in its place."""
    again, ids = store.retried_as(found), {job.id for job in found}
    return [job for job in found if again.get(job.id) not in ids]


def is_group(word: str) -> bool:
    """Whether a word names a group, by its form alone."""
    return word == GROUP or word.startswith(groups.MARK)


def group_of(store: Store, word: str) -> str:
    """The whole id of the group that a word means: an id, a unique prefix, or `@group`, the newest.
    Raises `NoSuchJob` and `AmbiguousId`."""
    found = store.groups_with_prefix(groups.MARK if word == GROUP else word)
    if word in found:
        return word
    if not found:
        raise NoSuchJob(f"there is no group {word!r}; `ktjob list` names the group of each job")
    if len(found) > 1 and word != GROUP:
        raise AmbiguousId(f"{word!r} matches several groups ({', '.join(found)})")
    return found[0]


def _named(store: Store, word: str) -> list[Job]:
    return store.group(group_of(store, word)) if is_group(word) else [one(store, word)]


def resolved(store: Store, wanted: Filter) -> Filter:
    """The filter with the whole id of its group. Raises `NoSuchJob` and `AmbiguousId`."""
    if wanted.group_id is None:
        return wanted
    return replace(wanted, group_id=group_of(store, wanted.group_id))


def one(store: Store, word: str) -> Job:
    """The one job that a word means: an id, a unique prefix, `@last` or `@last-3`. Raises
    `NoSuchJob`, which names what may have been meant, `AmbiguousId` and `BadInput`."""
    if is_group(word):
        have = wording.count(len(_named(store, word)), "job")
        raise BadInput(f"{word} is a group of {have}; name one job")
    if word.startswith("@"):
        return _at(store, word)
    try:
        return store.find(word)
    except AmbiguousId:
        these = ", ".join(map(described, store.with_prefix(word)))
        raise AmbiguousId(f"{word!r} matches several jobs; use a longer prefix: {these}") from None
    except NoSuchJob:
        if not (near := _typed_like(store, word)):
            raise
        raise NoSuchJob(f"there is no job {word!r}; did you mean {near}?") from None


def described(job: Job) -> str:
    """A job as a candidate in a message."""
    return f"{job.id} ({job.state}, {wording.quote(job.title)[:_TITLE]})"


def _at(store: Store, word: str) -> Job:
    place = _PLACE.fullmatch(word)
    if place is None:
        raise BadInput(
            f"{word!r} names no job: @last is the newest, @last-1 the one before it, @last-3 three "
            "before it; @group is the newest group"
        )
    before = int(place[1] or 0)
    jobs = store.newest(before + 1)
    if len(jobs) <= before:
        have = wording.count(len(jobs), "job")
        raise NoSuchJob(f"there is no job {word}: {have} in all; `ktjob list` lists all jobs")
    return jobs[before]


def _typed_like(store: Store, word: str) -> str:
    from difflib import get_close_matches

    known = {job.id: job for job in store.newest(_LOOKED_AT)}
    near = get_close_matches(word[:_TITLE].lower(), known, 2, _TYPED_LIKE)
    return " or ".join(described(known[job_id]) for job_id in near)


def _documents(store: Store, selector: Selector) -> Documents | None:
    from ktclient.records import search

    if not selector.in_documents or selector.search is None:
        return None
    return search.Documents(store, search.Words(selector.search), lambda count, size: None)


def _matching(
    store: Store, selector: Selector, documents: Documents | None = None
) -> Iterator[Job]:
    """All jobs that match the filters, oldest first."""
    wanted = resolved(store, selector.wanted)
    if selector.search is None:
        yield from reversed(store.listed(wanted, END))
        return
    from ktclient.records import search

    found = search.matching(store, wanted, search.Words(selector.search), documents)
    yield from reversed([job for job, _ in found])
