"""What a user types with each tool for the same story. Documents are docs/NN.txt, and what a
careful user would write first (a script, a configuration) is in `prepare`."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MODEL = "DeepSeek-V4-Flash"
SUMMARY = "Please summarize the text above."

CURL = """\
#!/bin/bash
# ask.sh FILE QUESTION OUT
set -euo pipefail
jq -n --rawfile d "$1" --arg q "$2" '{model: "MODEL", max_tokens: 1024,
  messages: [{role: "user", content: ($d + "\\n\\n" + $q)}]}' |
curl -sS --fail --max-time 7200 --keepalive-time 60 -H 'Content-Type: application/json' \\
  -d @- URL/v1/chat/completions | jq -er '.choices[0].message.content' > "$3.part"
mv "$3.part" "$3"
"""
LLM = """\
#!/bin/bash
# ask.sh FILE QUESTION OUT
set -euo pipefail
llm -m local -f "$1" "$2" > "$3.part"
mv "$3.part" "$3"
"""
LLM_MODELS = """\
- model_id: local
  model_name: MODEL
  api_base: URL/v1
"""
LITELLM = """\
# ask.py QUESTION FILE...: answers in out/, those that are there are skipped
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import litellm

def one(name):
    out = Path("out") / Path(name).with_suffix(".md").name
    if out.exists():
        return
    text = Path(name).read_text() + "\\n\\n" + sys.argv[1]
    reply = litellm.completion("openai/MODEL", messages=[{"role": "user", "content": text}],
        api_base="URL/v1", api_key="none", max_tokens=1024, timeout=7200,
        num_retries=0, max_retries=0)
    part = out.with_suffix(".part")
    part.write_text(reply.choices[0].message.content)
    part.rename(out)

with ThreadPoolExecutor(2) as pool:
    list(pool.map(one, sys.argv[2:]))
"""


@dataclass
class Tool:
    """One tool in a home of its own; the base is a shell loop around `ask.sh`."""

    folder: Path
    url: str
    programs: Path
    """Folder of its programs, which is put first in PATH."""
    name = "?"
    has_daemon = True
    """Whether a process of it stays while there is nothing to do."""

    def version(self) -> str:
        raise NotImplementedError

    def prepare(self) -> int:
        """Write what is needed first; how many lines that is."""
        raise NotImplementedError

    def _write(self, path: str, text: str) -> int:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("URL", self.url).replace("MODEL", MODEL), encoding="utf-8")
        file.chmod(0o755)
        return len([line for line in text.splitlines() if line and not line.startswith("#")])

    def documents(self) -> set[str]:
        return {file.stem for file in (self.folder / "docs").glob("*.txt")}

    def environment(self) -> dict[str, str]:
        """What its configuration puts into each shell."""
        return {}

    def done(self) -> set[str]:
        """Names of the documents whose summary is stored whole."""
        return {file.stem for file in (self.folder / "out").glob("[0-9]*.md")}

    def start(self) -> list[str]:
        raise NotImplementedError

    def look(self) -> list[str]:
        raise NotImplementedError

    def cancel(self, names: Sequence[str]) -> list[str]:
        raise NotImplementedError

    def resume(self, names: Sequence[str]) -> list[str]:
        """After some of these were lost."""
        raise NotImplementedError

    def ask(self, name: str, question: str) -> list[str]:
        return [f"./ask.sh docs/{name}.txt '{question}' out/more-{name}.md"]

    def rerun(self, name: str, question: str) -> list[str]:
        return [f"./ask.sh docs/{name}.txt '{question}' out/other-{name}.md"]

    def collect(self) -> list[str]:
        return ['for f in out/*.md; do echo "## $f"; cat "$f"; done > answers.md']

    def search(self, word: str) -> list[str]:
        return [f"grep -l '{word}' out/*.md"]

    def move(self, other: Path) -> list[str]:
        return [f"cp -r out {other}/"]

    def found_there(self, other: Path, word: str) -> str:
        """The command that searches on the other machine."""
        return f"cd {other} && grep -l '{word}' out/*.md"


def files(names: Sequence[str]) -> str:
    return " ".join(f"docs/{name}.txt" for name in names)


class TaskSpooler(Tool):
    """The queue of tsp, and curl for the request."""

    name = "tsp + curl"

    def version(self) -> str:
        said = subprocess.run(["tsp", "-V"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"v[\d.]+", said)
        return f"Task Spooler {found[0] if found else '?'}"

    def prepare(self) -> int:
        return self._write("ask.sh", CURL)

    def _enqueue(self, chosen: str) -> str:
        return (
            f"for f in {chosen}; do o=out/$(basename $f .txt).md; "
            f"tsp -L $f ./ask.sh $f '{SUMMARY}' $o; done"
        )

    def start(self) -> list[str]:
        return ["tsp -S 2", self._enqueue("docs/*.txt")]

    def look(self) -> list[str]:
        return ["tsp"]

    def _ids(self) -> dict[str, tuple[str, str]]:
        env = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", **self.environment()}
        said = subprocess.run(["tsp"], env=env, capture_output=True, text=True, check=True).stdout
        rows = re.findall(r"^(\d+)\s+(\w+).*\[docs/(\w+)\.txt\]", said, re.MULTILINE)
        return {name: (number, state) for number, state, name in rows}

    def environment(self) -> dict[str, str]:
        return {"TS_SOCKET": str(self.folder / "socket"), "TMPDIR": str(self.folder)}

    def cancel(self, names: Sequence[str]) -> list[str]:
        ids = self._ids()
        running = [ids[name][0] for name in names if ids[name][1] == "running"]
        waiting = [ids[name][0] for name in names if ids[name][1] != "running"]
        ends = [f"tsp -k {number}" for number in running]
        return [*ends, f"for i in {' '.join(waiting)}; do tsp -r $i; done"]

    def resume(self, names: Sequence[str]) -> list[str]:
        return ["tsp -S 2", self._enqueue(files(names))]


class TaskSpoolerLlm(TaskSpooler):
    """The queue of tsp, with llm for the request."""

    name = "tsp + llm"

    def version(self) -> str:
        return f"{super().version()}, llm {_pip_version(self.programs, 'llm')}"

    def prepare(self) -> int:
        return _prepare_llm(self)

    def collect(self) -> list[str]:
        return ["llm logs -n 0 > log.md", *super().collect()]

    def search(self, word: str) -> list[str]:
        return [f"llm logs -n 0 -q {word} --short"]

    def move(self, other: Path) -> list[str]:
        return [f"llm logs backup {other}/logs.db"]

    def found_there(self, other: Path, word: str) -> str:
        return f"llm logs -n 0 -q {word} --short -d {other}/logs.db"


def _prepare_llm(tool: Tool) -> int:
    config = ".config/io.datasette.llm/extra-openai-models.yaml"
    return tool._write("ask.sh", LLM) + tool._write(config, LLM_MODELS)


class Llm(TaskSpoolerLlm):
    """llm in a loop of the shell, two at a time."""

    name = "llm"
    has_daemon = False

    def version(self) -> str:
        return f"llm {_pip_version(self.programs, 'llm')}"

    def _loop(self, chosen: str) -> str:
        each = f"./ask.sh F '{SUMMARY}' out/\\$(basename F .txt).md"
        return f'ls {chosen} | xargs -P 2 -I F bash -c "{each}" &'

    def start(self) -> list[str]:
        return [self._loop("docs/*.txt")]

    def look(self) -> list[str]:
        return ["ls out; ps x | grep '[a]sk.sh'"]

    def cancel(self, names: Sequence[str]) -> list[str]:
        # A loop has no list to remove from: end it, and begin another one without the five.
        left = self.documents() - set(names) - self.done()
        return ["kill %1; wait", self._loop(files(sorted(left)))]

    def resume(self, names: Sequence[str]) -> list[str]:
        return [self._loop(files(names))]


class LiteLlm(Tool):
    """LiteLLM's SDK in a script that saves each answer when it is whole."""

    name = "LiteLLM"
    has_daemon = False

    def version(self) -> str:
        return f"litellm {_pip_version(self.programs, 'litellm')}"

    def environment(self) -> dict[str, str]:
        # Else it fetches its list of prices from GitHub at each start.
        return {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}

    def prepare(self) -> int:
        return self._write("ask.py", LITELLM)

    def _script(self, chosen: str, question: str = SUMMARY) -> str:
        return f"python ask.py '{question}' {chosen}"

    def start(self) -> list[str]:
        return [self._script("docs/*.txt") + " &"]

    def look(self) -> list[str]:
        return ["ls out"]

    def cancel(self, names: Sequence[str]) -> list[str]:
        left = sorted(self.documents() - set(names))
        return ["kill %1; wait", self._script(files(left)) + " &"]

    def resume(self, names: Sequence[str]) -> list[str]:
        return [self._script(files(names)) + " &"]

    def ask(self, name: str, question: str) -> list[str]:
        return [f"cp docs/{name}.txt more-{name}.txt", self._script(f"more-{name}.txt", question)]

    def rerun(self, name: str, question: str) -> list[str]:
        return [f"cp docs/{name}.txt other-{name}.txt", self._script(f"other-{name}.txt", question)]


class Ktjob(Tool):
    """This project."""

    name = "ktjob"

    def version(self) -> str:
        return f"ktjob {_pip_version(self.programs, 'ktjob')}"

    def prepare(self) -> int:
        return 0

    def environment(self) -> dict[str, str]:
        return {"KTJOB_SERVER": self.url}

    def _rows(self) -> list[tuple[str, str, str | None]]:
        """Id, name and outcome of each job, read without a command that would start a runner."""
        database = self.folder / ".local/state/ktjob/ktjob.db"
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
            return list(store.execute("select id, title, outcome from jobs order by seq"))

    def _id(self, name: str) -> str:
        return next(job_id for job_id, title, _ in self._rows() if Path(title).stem == name)

    def done(self) -> set[str]:
        return {Path(title).stem for _, title, outcome in self._rows() if outcome == "SUCCEEDED"}

    def start(self) -> list[str]:
        return ["ktjob submit docs/ --summarize"]

    def look(self) -> list[str]:
        return ["ktjob status"]

    def cancel(self, names: Sequence[str]) -> list[str]:
        return [f"ktjob cancel {' '.join(map(self._id, names))}"]

    def resume(self, names: Sequence[str]) -> list[str]:
        if any(outcome in ("FAILED", "LOST") for _, _, outcome in self._rows()):
            return ["ktjob show --state failed --state lost", "ktjob retry @group"]
        return ["ktjob status"]

    def ask(self, name: str, question: str) -> list[str]:
        return [f"ktjob ask {self._id(name)} '{question}' --wait"]

    def rerun(self, name: str, question: str) -> list[str]:
        return [f"ktjob rerun {self._id(name)} --ask '{question}' --wait"]

    def collect(self) -> list[str]:
        return ["ktjob export --all -o answers.md"]

    def search(self, word: str) -> list[str]:
        return [f"ktjob list --limit 0 --search {word}"]

    def move(self, other: Path) -> list[str]:
        return [
            f"ktjob export --all --with-documents -o {other}/jobs.jsonl",
            f"HOME={other} ktjob import {other}/jobs.jsonl",
        ]

    def found_there(self, other: Path, word: str) -> str:
        return f"HOME={other} ktjob list --limit 0 --search {word}"


def _pip_version(programs: Path, package: str) -> str:
    python = shutil.which("python", path=str(programs)) or "python3"
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
