"""Commands of `ktserver fetch` against the hub on loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server_bundle.doctor.facts import fetched
from server_bundle.weights import folder as weights
from support.model_hub import ModelHub, Repo, model_hub
from support.patience import HANG_SECONDS

REPO = "org/Tiny-1B"
WEIGHTS = "model.safetensors"
_MAIN = "from ktclient.cli.ktserver import main; main()"
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN")


class Fetcher:
    """`ktserver fetch` in a folder of a test, and the hub that it asks."""

    def __init__(self, hub: ModelHub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        self.to = folder / "weights"
        given = {name: value for name, value in os.environ.items() if name not in _TOKENS}
        self.environment = {
            **given,
            **hub.environment,
            "HF_HOME": str(folder / "hf"),
            "MODELSCOPE_HOME": str(folder / "ms"),
            "HF_HUB_DOWNLOAD_TIMEOUT": f"{HANG_SECONDS:.0f}",  # a held answer stays held
        }

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", _MAIN, "fetch", *words]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on while the test does something."""
        return subprocess.Popen(
            self.command(*words),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def partial_bytes(self) -> int:
        """What has arrived of the largest file that is not whole. A small one may be on its way
        beside it."""
        sizes = [0]
        for path in (self.to / fetched.FOLDER / weights.PARTIAL).glob("*"):
            with contextlib.suppress(FileNotFoundError):  # it has just become whole
                sizes.append(path.stat().st_size)
        return max(sizes)

    def __call__(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words), env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert self.hub.token not in done.stdout + done.stderr
        return done

    def into(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """A fetch of the repository into the test's folder."""
        return self(REPO, "--to", str(self.to), *words, code=code)


@contextmanager
def fetcher(folder: Path, files: dict[str, bytes]) -> Iterator[Fetcher]:
    """A hub with one repository of these files, and the command."""
    with model_hub() as hub:
        hub.repos[REPO] = Repo()
        hub.repos[REPO].commit(files)
        yield Fetcher(hub, folder)
