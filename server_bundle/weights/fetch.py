"""A fetch from beginning to end: what is to be fetched, into which folder, and the fetching.

`prepare` asks the hub and looks at the folder, and changes nothing. `run` holds the folder's lock,
fetches with several connections, and may be repeated after whatever ended it.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from jobs import private_folder
from jobs.processes import identity
from server_bundle.doctor.facts import fetched
from server_bundle.doctor.facts.fetched import Listed, Record
from server_bundle.errors import FetchFailed, FetchRefused
from server_bundle.transfers import checksum
from server_bundle.transfers.file import Transfer, WrongContent
from server_bundle.transfers.meter import Meter
from server_bundle.transfers.origin import Interrupted, RemoteFile
from server_bundle.transfers.patience import Patience
from server_bundle.transfers.pool import Pool
from server_bundle.transfers.progress import Progress
from server_bundle.weights import folder, record
from server_bundle.weights.hubs.hub import Hub, Listing
from server_bundle.weights.selection import Selection, select
from server_bundle.weights.source import Source

DAY_SECONDS = 86_400.0
"""As a job waits for a server that is away."""
_LISTINGS = 3


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
        files = [remote(path, one) for path, one in old.files.items()]
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
    folder.make_parents(to, to / fetched.FOLDER / folder.PARTIAL / "any")
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
            folder.place_in(to, path).unlink(missing_ok=True)
    except BaseException:
        lock.release()
        raise
    return lock


class Fetch:
    """The fetching itself, in a folder whose lock is held."""

    def __init__(self, work: Work, hub: Hub, say: Callable[[str], None]) -> None:
        self._work, self._to, self._wanted = work, work.request.to, work.record.wanted
        wanted, content = self._wanted, work.content
        self._meter = Meter(sum(one.size for one in wanted.values()), len(wanted), say)
        whole = [*content.whole, *content.to_check]
        self._meter.found(sum(wanted[path].size for path in whole) + content.partial_bytes)
        for path in content.whole:
            self._meter.ends(path)
        source = Source(work.record.hub, work.record.repo, work.record.revision)
        patience = Patience(self._meter, work.request.retry_seconds, FetchFailed)
        self._transfer = Transfer(
            partial(hub.body, source, work.record.commit),
            self._meter,
            patience,
            _wrong,
            record.mode_in(self._to),
        )

    def run(self, on_look: Callable[[Progress], None]) -> None:
        """Fetch and check all. Raises `FetchFailed`, `Stopped`, `OSError`, `KeyboardInterrupt`."""
        # Small files first: what is wrong with the account shows at the first of them.
        paths = (*self._work.content.to_check, *self._work.content.missing)
        files = [remote(path, self._wanted[path]) for path in paths]
        files.sort(key=lambda one: one.size)
        Pool(self._meter, self._one, FetchFailed).run(
            files, self._work.request.connections, on_look
        )
        with contextlib.suppress(OSError):
            shutil.rmtree(self._to / fetched.FOLDER / folder.PARTIAL)
        record.write(self._to, self._work.record)

    def _one(self, file: RemoteFile) -> None:
        listed, target = self._wanted[file.path], folder.place_in(self._to, file.path)
        listed.checked = self._checked(file, listed, target) or self._fetched(file, listed, target)
        record.write(self._to, self._work.record)

    def _fetched(self, file: RemoteFile, listed: Listed, target: Path) -> fetched.Checked:
        folder.make_parents(self._to, target)
        self._transfer.fetch(file, folder.partial_of(self._to, file.path, listed), target)
        seen = fetched.stamp(target)
        if seen is None:
            raise FetchFailed(f"{target} was removed while it was fetched: fetch again")
        return seen

    def _checked(self, file: RemoteFile, listed: Listed, target: Path) -> fetched.Checked | None:
        """The stamp of a file that is here and right; None if it has to be fetched. Raises
        `WrongContent` for one that was changed by others."""
        seen = fetched.stamp(target)
        if seen is None or seen.size != file.size:
            return None
        if checksum.is_right(target, file, self._meter.check):
            return seen
        if seen != listed.checked and not self._work.request.force:
            raise WrongContent(
                f"{target} differs from the file on the hub, and was not written by this fetch: "
                "move it away, or replace it with --force"
            )
        self._meter.say(file.path, f"{file.path} is damaged (wrong checksum); fetching it again")
        self._meter.lost(file.size)
        return None


def remote(path: str, listed: Listed) -> RemoteFile:
    """A file of the record as it is fetched."""
    return RemoteFile(path, listed.size, listed.sha256, listed.git_sha1)


def _wrong(file: RemoteFile) -> str:
    return (
        f"{file.path} arrived 2 times with a wrong checksum (expected "
        f"{file.sha256 or file.git_sha1}): a proxy or mirror changes it, or it was changed on the "
        "hub since its list was made. Try again with --update"
    )
