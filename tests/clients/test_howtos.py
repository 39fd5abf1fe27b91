"""Every command and program of docs/howto/clients, as a reader types it. nginx: test_nginx.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import page as pages
from support.gateway import gateway

from jobs.store.state_dir import StateDir

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("docs/howto/clients/*.md"))
WITHOUT_COMMANDS = {"nginx", "open-webui"}
HERE = "http://127.0.0.1:8640"
"""The gateway's address in the pages."""

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Desk:
    """A reader's folder and environment; the gateway's root URL, and the server behind it."""

    folder: Path
    environment: dict[str, str]
    url: str
    server: FakeServer

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout


@pytest.fixture
def desk(
    state: StateDir, client_python: Path, tmp_path: Path, node_program: Path
) -> Iterator[Desk]:
    folder = tmp_path / "desk"
    folder.mkdir()
    # Node looks for packages beside the program.
    (folder / "node_modules").symlink_to(node_program.parent / "node_modules")
    with fake_sglang(tmp_path) as server, gateway(state, server.url) as one:
        path = [client_python.parent, Path(sys.executable).parent, os.environ["PATH"]]
        environment = {
            **os.environ,
            "PATH": os.pathsep.join(map(str, path)),
            "HOME": str(tmp_path),
            "LLM_USER_PATH": str(tmp_path / "llm"),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "KTJOB_GATEWAY_KEY": "any",
        }
        (tmp_path / "llm").mkdir()
        yield Desk(folder, environment, one.url, server)


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.mark.node
@pytest.mark.parametrize("name", [page.stem for page in PAGES if page.stem not in WITHOUT_COMMANDS])
def test_every_command_and_program_of_the_page_runs(name: str, desk: Desk) -> None:
    """The server gets what was asked, each question once."""
    page = ROOT / f"docs/howto/clients/{name}.md"
    for text in blocks(page, "yaml"):
        (desk.folder / "long.yaml").write_text(text.replace(HERE, desk.url))
    (desk.folder / "script.py").write_text("import openai\nprint(openai.OpenAI().models.list())\n")
    with pages.Reader(desk.folder, desk.environment, {HERE: desk.url}) as reader:
        for command in pages.commands(page):
            reader.type(command)
    for number, text in enumerate(blocks(page, "python")):
        program = desk.folder / f"program{number}.py"
        program.write_text(text.replace(HERE, desk.url))
        at = {"OPENAI_BASE_URL": f"{desk.url}/v1", "OPENAI_API_KEY": "none"}
        told = Desk(desk.folder, {**desk.environment, **at}, desk.url, desk.server)
        assert told.run("python", program)
    for text in blocks(page, "js"):
        program = desk.folder / "program.mjs"
        program.write_text(text.replace(HERE, desk.url))
        assert desk.run("node", program)
    asked = [body["messages"][-1]["content"] for body in desk.server.requests()]
    expected = set(re.findall(r"Who (?:dies|lies) in the book\?", _code(page)))
    assert sorted(asked) == sorted(expected)


def _code(page: Path) -> str:
    return "\n".join(text for kind in ("sh", "python", "js") for text in blocks(page, kind))
