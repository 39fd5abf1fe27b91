"""Search jobs for words: in names, labels, questions and answers, and on demand in documents.

By a scan: it finds any language and any part of a word, and needs no index. Ten thousand answers of
3,400 characters take half a second, and a gigabyte of documents four to sixteen seconds
(docs/performance.md).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from jobs.model import Job, Piece
from jobs.store.job_queries import END, Filter
from jobs.store.store import Store
from ktclient.answers.stretches import ANSWER_CHANNEL
from ktclient.errors import BadInput
from ktclient.records import snapshot
from ktclient.records.snapshot import Snapshot

CONTENT = "content"
"""The place of a hit in a document's text."""
MOST_BYTES = 2_000_000_000
"""How much of documents one search reads, in bytes: half a minute at most."""
_BATCH = 200
"""Jobs whose answers are in memory at a time."""
_BEFORE, _AFTER = 10, 50
"""Characters shown before and after the start of a hit: if space is short, the end is cut."""


@dataclass(frozen=True)
class Found:
    """Where the words are: `answer`, `asked`, `failure`, `label`, `document` (its name) or
    `content` (its text), and the text there. The text is foreign: it may contain anything except
    line ends."""

    where: str
    text: str


@dataclass(frozen=True)
class Listing:
    """Jobs, newest first, and the hit of each if there was a search; `total`: how many match in
    all."""

    jobs: list[Snapshot]
    found: list[Found]
    total: int


@dataclass(frozen=True)
class Look:
    """What of a search is in one text: the numbers of its words, and the text around the first."""

    words: frozenset[int]
    around: str


class Words:
    """A search: all of these words, "several in quotes" as one; in any letter case."""

    def __init__(self, text: str) -> None:
        """Raises `BadInput` if there is no word."""
        given = [quoted or plain for quoted, plain in re.findall(r'"([^"]+)"|([^\s"]+)', text)]
        # Folding is most of the work, and Chinese has no letter case.
        self._has_case = text.lower() != text.upper()
        terms = [self._folded(one).split() for one in given]
        self._terms = [re.compile(r"\s+".join(map(re.escape, term))) for term in terms if term]
        if not self._terms:
            raise BadInput("--search needs at least one word")

    def look(self, text: str) -> Look | None:
        """What of the search is in this text; None if nothing is."""
        folded = self._folded(text)
        found = {n: hit for n, term in enumerate(self._terms) if (hit := term.search(folded))}
        if not found:
            return None
        first = min(found.values(), key=lambda hit: hit.start())
        return Look(frozenset(found), _around(text, folded, *first.span()))

    def find(self, fields: Mapping[str, str], content: Look | None = None) -> Found | None:
        """The hit, if each word is in any of these texts or in the document's `content`: in the
        text with most of the words, else in the first; None if a word is missing."""
        looks = {name: look for name, text in fields.items() if text and (look := self.look(text))}
        if content is not None:
            looks[CONTENT] = content
        if len(frozenset[int]().union(*(one.words for one in looks.values()))) < len(self._terms):
            return None
        best = max(looks, key=lambda name: len(looks[name].words))
        return Found(best, looks[best].around)

    def _folded(self, text: str) -> str:
        """The same text for all ways to write it: composed or not, in any case."""
        composed = unicodedata.normalize("NFC", text)
        return composed.casefold() if self._has_case else composed


def _around(text: str, folded: str, start: int, end: int) -> str:
    """The text around a hit, given the hit's place in the folded text."""
    plain = unicodedata.normalize("NFC", text)
    if len(plain) != len(folded):  # ß is two letters in the other
        start, end = _unfolded(plain, start), _unfolded(plain, end)
    first, last = max(0, start - _BEFORE), min(len(plain), max(end, start + _AFTER))
    shown = " ".join(plain[first:last].split())
    return f"{'…' if first else ''}{shown}{'…' if last < len(plain) else ''}"


def _unfolded(text: str, place: int) -> int:
    """The index of the character that is at this place once the text is folded."""
    at = 0
    for index, character in enumerate(text):
        if at >= place:
            return index
        at += len(character.casefold())
    return len(text)


class Documents:
    """The texts of documents, each searched once, however many jobs have it. Those of the newest
    jobs first, and no more once so many bytes were read."""

    def __init__(
        self,
        store: Store,
        words: Words,
        tell: Callable[[int, int], None],
        most_bytes: int | None = None,
    ) -> None:
        """`tell` is called after each document with how many were read, and their bytes.
        `most_bytes`: `MOST_BYTES` if None."""
        self._most_bytes = MOST_BYTES if most_bytes is None else most_bytes
        self._store, self._words, self._tell = store, words, tell
        self._seen: dict[str, Look | None] = {}
        self._left_out: set[str] = set()
        self._bytes = 0

    @property
    def unread(self) -> int:
        """How many documents were not searched."""
        return len(self._left_out)

    def look(self, job: Job) -> Look | None:
        """What of the search is in the text of the job's document."""
        name = job.document
        if name in self._seen:
            return self._seen[name]
        if self._bytes >= self._most_bytes:
            self._left_out.add(name)
            return None
        body = self._store.document(name)
        self._bytes += len(body)
        self._seen[name] = self._words.look(body.decode(errors="replace"))
        self._tell(len(self._seen), self._bytes)
        return self._seen[name]


def _all_jobs(_: Job) -> bool:
    return True


def listing(
    store: Store,
    wanted: Filter,
    words: Words | None,
    most: int | None,
    documents: Documents | None = None,
    is_meant: Callable[[Job], bool] = _all_jobs,
) -> Listing:
    """At most `most` jobs, newest first; None: all. With `documents`, their texts count too. With
    words, only jobs that `is_meant` allows are read."""
    if words is None:
        jobs = store.listed(wanted, END if most is None else most)
        return Listing(snapshot.of_jobs(store, jobs), [], store.count(wanted))
    jobs, found, total = [], [], 0
    for job, hit in matching(store, wanted, words, documents, is_meant):
        total += 1
        if most is None or total <= most:
            jobs.append(job)
            found.append(hit)
    return Listing(snapshot.of_jobs(store, jobs), found, total)


def matching(
    store: Store,
    wanted: Filter,
    words: Words,
    documents: Documents | None = None,
    is_meant: Callable[[Job], bool] = _all_jobs,
) -> Iterator[tuple[Job, Found]]:
    """The jobs that have all words, newest first, each with where they are."""
    before = END
    while listed := store.listed(wanted, _BATCH, before):
        before = listed[-1].seq
        jobs = [job for job in listed if is_meant(job)]
        answers = store.texts(jobs, ANSWER_CHANNEL)
        for job in jobs:
            fields = _fields(job, _answer(job, answers.get(job.id, "")))
            content = None if documents is None else documents.look(job)
            if (hit := words.find(fields, content)) is not None:
                yield job, hit


def _answer(job: Job, content: str) -> str:
    """The answer in a job's content, without thoughts in tags."""
    return snapshot.divided(job, [Piece(1, ANSWER_CHANNEL, content)]).answer


def _fields(job: Job, answer: str) -> dict[str, str]:
    """The searched texts of a job, the most useful first."""
    task = json.loads(job.spec).get("task", {})
    return {
        "answer": answer,
        "asked": task.get("text", ""),
        "failure": job.message or "",
        "label": job.label or "",
        "document": job.title,
    }
