"""Every file in the state directory, as properties of one class. Creates only folders."""

from __future__ import annotations

from pathlib import Path

from jobs import named_file, private_folder
from jobs.errors import NotYours, StoreUnusable
from jobs.processes import ownership
from jobs.quick_dataclass import record
from jobs.store import diagnosis


@record(frozen=True)
class StateDir:
    """The folder that holds one queue: private to its owner (0700), files 0600."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "ktjob.db"

    def has_database(self) -> bool:
        """Whether a job was ever stored here. Raises `StoreUnusable` where that cannot be read: in
        another user's folder, `Path.exists` returns False or raises `PermissionError`. Raises
        `NotYours` for another user's folder."""
        self._refuse_anothers()
        try:
            self.database.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise diagnosis.of_system(error, self.root) from error
        return True

    def _refuse_anothers(self) -> None:
        ownership.refuse_root(self.root)
        ownership.refuse_foreign(self.root)
        try:
            named_file.followed(self.root)
        except PermissionError as error:
            raise NotYours(
                f"cannot use the state directory {self.root}: {error.strerror}. Set KTJOB_HOME to "
                "a folder of your own"
            ) from error
        except OSError:  # whatever comes next reports it
            return

    def is_stored(self) -> bool:
        """Like `has_database`, but raises `StoreUnusable` also where the folder is out of sight
        because its disk was unmounted."""
        if self.has_database():
            return True
        self.require_in_sight()
        return False

    def require_in_sight(self, wait_seconds: float = 0.0) -> None:
        """Raise `StoreUnusable` if a runner uses a folder of this path that is on a disk which was
        unmounted: a database made now would be hidden by that disk later, and its jobs with it.
        Costs a look at all processes, so it is for the case that there is no database."""
        from jobs.processes import hidden_folder

        pid = hidden_folder.wait_for_user(self.root, "jobs.runner", wait_seconds)
        if pid is not None:
            raise StoreUnusable(
                f"a runner (process {pid}) uses a state directory {self.root} that is out of "
                "sight: was its disk unmounted? Mount it again; or end that process "
                f"(kill {pid}) for a new queue in its place"
            )

    def schema_backup(self, version: int) -> Path:
        """The copy that is kept when a database of an older schema is migrated."""
        return self.root / f"{self.database.name}.schema-{version}.bak"

    @property
    def schema_lock(self) -> Path:
        return self.root / "schema.lock"

    @property
    def runner_lock(self) -> Path:
        return self.root / "runner.lock"

    @property
    def candidate_lock(self) -> Path:
        """Held by the process that waits until a runner of an older version exits."""
        return self.root / "candidate.lock"

    @property
    def runner_log(self) -> Path:
        return self.root / "runner.log"

    @property
    def doorbell(self) -> Path:
        return self.root / "doorbell"

    @property
    def gateway_secret(self) -> Path:
        """What the sessions of the gateway's page are signed with."""
        return self.root / "gateway.secret"

    @property
    def server(self) -> Path:
        """The folder of the embedded server."""
        return self.root / "server"

    def watch_lock(self, key: str) -> Path:
        """Held by the process that polls a pool's server for all others; `key` names the pool."""
        return self.root / "watch" / f"{key}.lock"

    def watched(self, key: str) -> Path:
        """The last values that this process read."""
        return self.root / "watch" / f"{key}.json"

    def question_lock(self, key: str) -> Path:
        """Held by the process that sends a pool's server a query that may take long."""
        return self.root / "watch" / f"{key}.question"

    @property
    def servers(self) -> Path:
        """The folder with one subfolder for each server that ktserver started, by name."""
        return self.root / "servers"

    @property
    def engines(self) -> Path:
        """The folder of the Python environments that `ktserver install` made, one for an engine."""
        return self.root / "engines"

    @property
    def written_files(self) -> Path:
        """Notes of the files that `result -o` and the like wrote."""
        return self.root / "written"

    @property
    def lent_keys(self) -> Path:
        """API keys that the work keeps outside the store while jobs need them."""
        return self.root / "keys"

    def worker_lock(self, job_id: str) -> Path:
        return self.root / "workers" / f"{job_id}.lock"

    def lock_refusal(self, job_id: str) -> NotYours | None:
        """Why no worker of this user can lock this job: its lock file belongs to another user."""
        return ownership.refusal(self.worker_lock(job_id))

    def job_log(self, job_id: str) -> Path:
        return self.root / "logs" / f"{job_id}.log"

    def told(self, job_id: str, number: int) -> Path:
        """A file with a job's answer, for a notification command while it runs."""
        return self.root / "told" / f"{job_id}.{number}.txt"

    @property
    def opened(self) -> Path:
        """Copies of texts for people to read, named `ID.NAME.txt`; made on request."""
        return self.root / "opened"

    @property
    def gateway_files(self) -> Path:
        """The bytes of files and of parts of uploads that came over HTTP, named by their ids."""
        return self.root / "gateway" / "files"

    @property
    def gateway_batches(self) -> Path:
        """Results of batches that came over HTTP, in OpenAI's form; made on request."""
        return self.root / "gateway" / "batches"

    def refuse_unsafe(self) -> None:
        """Raise `NotYours` for a folder where nothing may be made: another user's, or one that
        others write to and that this process cannot make private."""
        ownership.refuse_shared(self.root, is_in_use=self.has_database())

    def make_root(self) -> StateDir:
        """Make the folder itself, private, unless `refuse_unsafe` raises. Raises `StoreUnusable`
        with the path when that is not possible."""
        self.refuse_unsafe()
        self._make(self.root)
        return self

    def create(self) -> StateDir:
        """Make the folder and those in it. Raises as `make_root` does."""
        self.make_root()
        self._make(*(self.root / name for name in ("workers", "logs", "watch")), self.server)
        return self

    def _make(self, *folders: Path) -> None:
        try:
            for folder in folders:
                private_folder.make(folder)
                if folder.stat().st_mode & 0o777 != private_folder.MODE:
                    folder.chmod(private_folder.MODE)
        except FileExistsError as error:
            raise StoreUnusable(_in_the_way(Path(error.filename))) from error
        except OSError as error:
            raise diagnosis.of_system(error, self.root) from error


def _in_the_way(path: Path) -> str:
    what = "a file, not a folder"
    if path.is_symlink():
        what = f"a symbolic link to {path.readlink()}, which does not exist"
    return (
        f"cannot use the state directory: {path} is {what}. Move it away, or set KTJOB_HOME to a "
        "writable folder on a local disk."
    )
