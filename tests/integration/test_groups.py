"""Jobs that were submitted by one command: one id, one line, one file of answers, one message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support.commands import Run, runner

from jobs.store.state_dir import StateDir
from ktclient import select, submit_files, submit_questions

STORY = "It was a dark and stormy night. " * 20


@pytest.fixture
def run(ktjob_command: list[str], ktjob_home: Path, tmp_path: Path) -> Run:
    (tmp_path / "reports").mkdir()
    for name in ("a", "b"):
        (tmp_path / "reports" / f"{name}.txt").write_text(STORY)
    return runner(ktjob_command, tmp_path)


@pytest.mark.promise
def test_a_folder_is_one_group_from_submit_to_its_file_of_answers(
    run: Run, state: StateDir, tmp_path: Path, until: Callable[..., object]
) -> None:
    """Status has one line, each command takes its id, and --on-done runs once."""
    done, file = tmp_path / "done", tmp_path / "answers"
    command = f'cat "$KTJOB_RESULT" > {file}; echo "$KTJOB_ID $KTJOB_STATE" >> {done}'
    with fake_sglang(tmp_path, "--answer", "It rained.") as server:
        server.hold()
        asked = ("--ask", "Who?", "--ask", "Where?", "--server", server.url)
        submitted = run("submit", "reports", *asked, "--on-done", command)
        ids = submitted.stdout.split()
        assert submitted.returncode == 0 and len(ids) == 4
        (group,) = {word.strip(":,") for word in submitted.stderr.split() if word[:2] == "g-"}
        assert f"ktjob result {group} -o answers.md" in submitted.stderr
        alone = run("submit", "reports/a.txt", "--server", server.url, "--quiet").stdout.strip()
        lines = run("status").stdout.splitlines()
        assert len(lines) == 3 and "0 of 4 done" in lines[1] and alone in lines[2]
        assert lines[1].startswith(group) and "4 jobs: reports/a.txt" in lines[1]
        of_group = run("status", "@group").stdout
        assert of_group.startswith(f"{group}: 0 of 4 done") and all(one in of_group for one in ids)
        assert {job["id"] for job in json.loads(run("status", "--json").stdout)} == {*ids, alone}
        assert {job["group"] for job in json.loads(run("status", group, "--json").stdout)} == {
            group
        }
        refused = run("result", group)
        assert refused.returncode == 5 and f"ktjob wait {group}" in refused.stderr
        assert run("open", group).returncode == 2 and run("wait", "g-x").returncode == 3
        server.let_go()
        waited = run("wait", group[:5])
        assert waited.returncode == 0, waited.stderr
        assert run("result", group, "-o", "answers.md").returncode == 0
        whole = (tmp_path / "answers.md").read_text()
        headings = [f"reports/{name}.txt: {ask}" for name in "ab" for ask in ("Who?", "Where?")]
        assert whole == "\n\n".join(f"## {one}\n\nIt rained." for one in headings) + "\n"
        printed = run("wait", group, "--print").stdout
        assert all(f"{place}. {one}\n" in printed for place, one in enumerate(headings, 1))
        until(lambda: done.exists() and done.read_text().endswith("\n"))
        assert file.read_text() == whole.rstrip("\n")
        assert run("list", "--group", group).stdout.count("reports/") == 4
        assert run("wait", "--all").returncode == 0
        assert run("rm", alone, "--group", group).returncode == 3
        assert run("rm", group).returncode == 0 and run("show", group).returncode == 3
        assert done.read_text() == f"{group} SUCCEEDED\n"


def test_what_failed_of_a_group_is_retried_in_its_place(
    run: Run, state: StateDir, tmp_path: Path
) -> None:
    """The group is whole again, in its order."""
    with fake_sglang(tmp_path, "--answer", "It rained.", "--fault", "http_400_flat") as server:
        jobs = submit_questions(STORY, ["Who?", "Where?", "When?"], server=server.url)
        group = jobs[0].status().group
        assert group is not None and {job.status().group for job in jobs} == {group}
        assert run("wait", group).returncode == 1
        assert "1 of 3 failed" in run("status").stdout
        printed = run("result", group)
        assert printed.returncode == 1 and printed.stdout.count("It rained.") == 2
        refused = run("retry", group, *(job.id for job in jobs))
        assert refused.returncode == 1 and "ktjob rerun" in refused.stderr
        retried = run("retry", group)
        assert "2 jobs left out" in retried.stderr
        assert retried.returncode == 0 and len(retried.stdout.split()) == 1
        assert run("wait", group, "--timeout", "600").returncode == 0
        again = select(group)
        assert again.results() == ["It rained."] * 3 and again.group == group
        assert [one.questions[0] for one in again.statuses()] == ["Who?", "Where?", "When?"]
        one = submit_files([tmp_path / "reports" / "a.txt"], server=server.url)
        assert one.group is None and one.wait().results() == ["It rained."]
