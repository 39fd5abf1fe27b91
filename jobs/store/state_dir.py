"""Every file in the state directory, as properties of one class. Creates nothing but folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.errors import StoreUnusable
from jobs.store import diagnosis


@dataclass(frozen=True)
class StateDir:
    """The folder that holds one queue: private to its owner (0700), files 0600."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "ktjob.db"

    def has_database(self) -> bool:
        """Whether a job was ever stored here. Raises `StoreUnusable` where that cannot be seen:
        in another user's folder `Path.exists` says no, or raises what nobody expects."""
        try:
            self.database.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise diagnosis.of_system(error, self.root) from error
        return True

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
    def runner_log(self) -> Path:
        return self.root / "runner.log"

    @property
    def doorbell(self) -> Path:
        return self.root / "doorbell"

    @property
    def server(self) -> Path:
        """The folder of the embedded server."""
        return self.root / "server"

    def watch_lock(self, key: str) -> Path:
        """Held by the one process that watches a pool for all others; `key` names the pool."""
        return self.root / "watch" / f"{key}.lock"

    def watched(self, key: str) -> Path:
        """What that process saw last."""
        return self.root / "watch" / f"{key}.json"

    def question_lock(self, key: str) -> Path:
        """Held by whoever asks a pool's server something that it may leave unanswered for long."""
        return self.root / "watch" / f"{key}.question"

    @property
    def servers(self) -> Path:
        """Where every other server of ours has a folder of its own, by name."""
        return self.root / "servers"

    @property
    def lent_keys(self) -> Path:
        """What the work keeps secret beside the store, while jobs need it."""
        return self.root / "keys"

    def worker_lock(self, job_id: str) -> Path:
        return self.root / "workers" / f"{job_id}.lock"

    def job_log(self, job_id: str) -> Path:
        return self.root / "logs" / f"{job_id}.log"

    def told(self, job_id: str, number: int) -> Path:
        """A job's answer, for a command that is told of its end, while that runs."""
        return self.root / "told" / f"{job_id}.{number}.txt"

    @property
    def opened(self) -> Path:
        """Copies for people to look at, `ID.NAME.txt` each; made when they are asked for."""
        return self.root / "opened"

    def create(self) -> StateDir:
        """Make the folders. Raises `StoreUnusable` with the path when that is not possible."""
        try:
            inner = (self.root / name for name in ("workers", "logs", "watch"))
            for folder in (self.root, *inner, self.server):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.root.stat().st_mode & 0o777 != 0o700:
                self.root.chmod(0o700)
        except FileExistsError as error:
            raise StoreUnusable(_in_the_way(Path(error.filename))) from error
        except OSError as error:
            raise diagnosis.of_system(error, self.root) from error
        return self


def _in_the_way(path: Path) -> str:
    what = "a file"
    if path.is_symlink():
        what = f"a symbolic link to {path.readlink()}, which is not there"
    return (
        f"cannot use the state directory: {path} is {what}. Move it away, or point KTJOB_HOME at "
        "a writable local folder."
    )
