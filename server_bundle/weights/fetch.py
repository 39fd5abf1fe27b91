"""A fetch from beginning to end: what is to be fetched, into which folder, and the fetching.

`prepare` asks the hub and looks at the folder, and changes nothing. `run` holds the folder's lock,
fetches with several connections, and may be repeated after whatever ended it.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from jobs import private_folder
from jobs.processes import identity
from jobs.system import no_room
from server_bundle.doctor.facts import fetched
from server_bundle.doctor.facts.fetched import Listed, Record
from server_bundle.errors import FetchFailed, FetchRefused
from server_bundle.weights import checksum, folder, record, transfer
from server_bundle.weights.hubs.hub import Hub, Interrupted, Listing, RemoteFile
from server_bundle.weights.meter import Meter, Reading, Stopped
from server_bundle.weights.patience import DAY_SECONDS, Patience
from server_bundle.weights.selection import Selection, select
from server_bundle.weights.source import Source
from server_bundle.weights.transfer import Transfer, WrongContent

TICK_SECONDS = 0.25
STOP_SECONDS = 3.0
"""How long connections may take to notice a stop; they are threads that end with the process."""
_LISTINGS = 3
Report = Callable[[Reading], bool]
"""Called four times a second. Returns whether a stop was requested."""


@dataclass(frozen=True)
class Request:
    """What a person asked for. `include` and `exclude` are None where none was given: then those of
    the folder's record count."""

    source: Source
    to: Path
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    update: bool = False
    verify: bool = False
    force: bool = False
    connections: int = 8
    retry_seconds: float = DAY_SECONDS


@dataclass(frozen=True)
class Work:
    """What will be done. `stale`: files of the earlier revision that the new one has not, or has
    with another content. `is_new`: the folder has no such record yet."""

    request: Request
    record: Record
    selection: Selection
    content: folder.Content
    stale: tuple[str, ...]
    is_new: bool

    @property
    def is_done(self) -> bool:
        """Whether nothing is to be fetched or checked."""
        return not (self.is_new or self.content.missing or self.content.to_check)


def lock_of(to: Path) -> Path:
    """Held by the process that fetches into this folder."""
    return to / fetched.FOLDER / "lock"


def prepare(request: Request, connect: Callable[[], Hub]) -> Work:
    """Find out what is to be done. Asks the hub only for a folder without a record, and for
    `update`. Raises `FetchRefused` and `FetchFailed`."""
    old = fetched.read(request.to)
    if old is not None:
        _refuse_another(request, old)
        include = request.include if request.include is not None else tuple(old.include)
        exclude = request.exclude if request.exclude is not None else tuple(old.exclude)
        request = replace(request, include=include, exclude=exclude)
    listing = _listing(request, old, connect)
    include, exclude = request.include or (), request.exclude or ()
    selection = select(listing.files, include, exclude)
    new = record.of_listing(listing, selection, list(include), list(exclude))
    stale = _carry_over(request.to, old, new)
    if old is not None and not request.update:
        new.listed_at, new.checked_at = old.listed_at, old.checked_at
    if not request.force:
        if old is None:
            folder.refuse_others(request.to, new.files)
        folder.refuse_replacing(request.to, new, stale)
    content = folder.content_of(request.to, new, request.verify)
    return Work(request, new, selection, content, stale, old != new)


def _refuse_another(request: Request, old: Record) -> None:
    asked = request.source
    if (asked.hub, asked.repo.lower()) != (old.hub, old.repo.lower()):
        raise FetchRefused(
            f"{request.to} holds {old.name} from {Source(old.hub, old.repo).hub_name}, not "
            f"{asked.repo} from {asked.hub_name}: choose another folder with --to"
        )
    is_same = asked.revision in ("", old.revision) or (
        len(asked.revision) >= 7 and old.commit.startswith(asked.revision)
    )
    if not is_same and not request.update:
        raise FetchRefused(
            f"{request.to} holds {old.name} (revision {old.revision or 'of the hub'}), and you ask "
            f"for {asked.revision}: change the folder to it with --update, or choose another --to"
        )


def _listing(request: Request, old: Record | None, connect: Callable[[], Hub]) -> Listing:
    if old is not None and not request.update:
        files = [
            RemoteFile(path, one.size, one.sha256, one.git_sha1) for path, one in old.files.items()
        ]
        source = Source(old.hub, old.repo, old.revision)
        return Listing(source, old.commit, tuple(files))
    source = request.source
    if old is not None and not source.revision:
        source = replace(source, revision=old.revision)
    hub, tries = connect(), 0
    while True:
        try:
            return hub.listing(source)
        except Interrupted as error:
            tries += 1
            if tries == _LISTINGS:
                raise FetchFailed(
                    f"cannot ask {source.hub_name} for {source.repo}: {error}. Check the network "
                    "and the proxy, or name a mirror with HF_ENDPOINT or MODELSCOPE_ENDPOINT"
                ) from None
            time.sleep(min(10.0, error.after or 2.0**tries))


def _carry_over(to: Path, old: Record | None, new: Record) -> tuple[str, ...]:
    """Keep what was checked and is the same in the new record. Returns what is left of the old
    revision: files that were fetched here, and are as they were then."""
    stale = []
    for path, before in (old.files if old else {}).items():
        now = new.files.get(path)
        if now is not None and _content(now) == _content(before):
            now.checked = before.checked
        elif before.checked is not None and fetched.stamp(to / path) == before.checked:
            stale.append(path)
    return tuple(sorted(stale))


def _content(one: Listed) -> tuple[int, str, str]:
    return one.size, one.sha256, one.git_sha1


def begin(work: Work, *, is_private: bool) -> identity.HeldLock:
    """Make the folder, take its lock and write the record. Raises `FetchFailed` if another process
    fetches into it, and `OSError`."""
    to = work.request.to
    if is_private:
        private_folder.make(to)
    else:
        to.mkdir(parents=True, exist_ok=True)
    inner = to / fetched.FOLDER / record.PARTIAL
    transfer.make_parents(to, inner / "any")
    lock = identity.hold(lock_of(to))
    if lock is None:
        holder = identity.holder(lock_of(to))
        who = f" (process {holder.pid})" if holder else ""
        raise FetchFailed(
            f"another ktserver fetch{who} is writing to {to}: look with `ktserver fetch --status`, "
            f"stop it with `ktserver fetch --stop --to {to}`"
        )
    try:
        lock.sign()
        record.write(to, work.record)
        for path in work.stale:
            transfer.place_in(to, path).unlink(missing_ok=True)
    except BaseException:
        lock.release()
        raise
    return lock


def unwritable(error: OSError, to: Path) -> FetchFailed:
    """What to say of an error of the disk."""
    why = no_room.reason(error, to) or error.strerror or str(error)
    return FetchFailed(
        f"cannot write to {to}: {why}. What has arrived is kept: fetch again with the same command"
    )


class Fetch:
    """The fetching itself, in a folder whose lock is held."""

    def __init__(self, work: Work, hub: Hub, say: Callable[[str], None]) -> None:
        self._work, self._to = work, work.request.to
        wanted = work.record.wanted
        self.meter = Meter(sum(one.size for one in wanted.values()), len(wanted), say)
        whole = [*work.content.whole, *work.content.to_check]
        self.meter.found(sum(wanted[path].size for path in whole) + work.content.partial_bytes)
        for _ in work.content.whole:
            self.meter.file_done()
        patience = Patience(self.meter, work.request.retry_seconds)
        source = Source(work.record.hub, work.record.repo, work.record.revision)
        mode = record.mode_in(self._to)
        self._transfer = Transfer(
            hub, source, work.record.commit, self._to, self.meter, patience, mode
        )
        # Small files first: what is wrong with the account shows at the first of them.
        self._paths = deque(
            sorted((*work.content.to_check, *work.content.missing), key=lambda p: wanted[p].size)
        )
        self._errors: list[BaseException] = []
        self._wrong: list[str] = []

    def run(self, report: Report) -> None:
        """Fetch and check all. Raises `FetchFailed`, `Stopped`, `OSError`, `KeyboardInterrupt`."""
        count = max(1, min(self._work.request.connections, len(self._paths)))
        threads = [threading.Thread(target=self._worker, daemon=True) for _ in range(count)]
        for one in threads:
            one.start()
        try:
            while any(one.is_alive() for one in threads):
                if report(self.meter.reading()):
                    raise Stopped
                threads[0].join(TICK_SECONDS)
                threads = [one for one in threads if one.is_alive()] or threads[:1]
        except BaseException:
            self.meter.stop()
            give_up = time.monotonic() + STOP_SECONDS
            for one in threads:
                one.join(max(0.0, give_up - time.monotonic()))
            raise
        report(self.meter.reading())
        self._end()

    def _end(self) -> None:
        if self._errors and isinstance(self._errors[0], OSError):
            raise unwritable(self._errors[0], self._to) from self._errors[0]
        if self._errors:
            raise self._errors[0]
        if self._wrong:
            raise FetchFailed(". ".join(self._wrong))
        partial = self._to / fetched.FOLDER / record.PARTIAL
        with contextlib.suppress(OSError):
            shutil.rmtree(partial)
        record.write(self._to, self._work.record)

    def _worker(self) -> None:
        while not self._errors:
            try:
                path = self._paths.popleft()
            except IndexError:
                return
            try:
                self._one(path)
            except WrongContent as error:
                self._wrong.append(str(error))
            except BaseException as error:  # reported by the main thread
                self._errors.append(error)
                self.meter.stop()

    def _one(self, path: str) -> None:
        listed = self._work.record.wanted[path]
        target = transfer.place_in(self._to, path)
        stamp = self._check(path, listed, target)
        if stamp is None:
            stamp = self._transfer.fetch(path, listed)
        listed.checked = stamp
        record.write(self._to, self._work.record)
        self.meter.file_done()

    def _check(self, path: str, listed: Listed, target: Path) -> fetched.Checked | None:
        """The stamp of a file that is here and right; None if it has to be fetched. Raises
        `WrongContent` for one that was changed by others."""
        seen = fetched.stamp(target)
        if seen is None or seen.size != listed.size:
            return None
        if checksum.is_right(target, listed, self.meter.check):
            return seen
        if seen != listed.checked and not self._work.request.force:
            raise WrongContent(
                f"{target} differs from the file on the hub, and was not written by this fetch: "
                "move it away, or replace it with --force"
            )
        self.meter.say(path, f"{path} is damaged (wrong checksum); fetching it again")
        self.meter.lost(listed.size)
        return None
