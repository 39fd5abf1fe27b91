"""Logging out where logind kills, with a real systemd user manager and a real kill of all that is
in the session's cgroup; and the boot unit, started and stopped by that manager."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang

from acceptance.login_lab import LoginLab, login_lab
from jobs import model
from jobs.model import Capacity, NewJob, Status
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job
from ktclient.prompts.tasks import Kind, Task
from ktclient.submission.spec import JobSpec

pytestmark = pytest.mark.login

# Nobody is exempt: in the lab everybody is root, whom logind spares by default.
KILLS = "[Login]\nKillUserProcesses=yes\nKillExcludeUsers=nobody\n"
SPARES = "[Login]\nKillUserProcesses=no\n"
Until = Callable[..., object]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LoginLab]:
    with login_lab(tmp_path) as made:
        yield made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    """Held in prefill until the logout is over."""
    with fake_sglang(tmp_path, "--answer", "Still here.") as made:
        made.hold()
        yield made


def runner_of(state: StateDir) -> int:
    runner = identity.holder(state.runner_lock)
    assert runner is not None
    return runner.pid


@pytest.fixture
def submit(
    lab: LoginLab, server: FakeServer, tmp_path: Path, ktjob_command: list[str]
) -> Callable[[], tuple[Job, str]]:
    """`ktjob submit` in session-1; the job, in prefill by now, and what was said about it."""

    def go() -> tuple[Job, str]:
        document = tmp_path / "document.txt"
        document.write_text("x" * 81_920)
        done = lab.run("session-1", *ktjob_command, "submit", str(document), "--server", server.url)
        assert done.returncode == 0, done.stderr
        server.wait_for_event("prefill_started")
        return Job(done.stdout.strip()), done.stderr

    return go


def test_the_job_survives_the_logout(
    lab: LoginLab, state: StateDir, server: FakeServer, submit: Callable[[], tuple[Job, str]]
) -> None:
    """Lingering is on: the runner has left the session, and nobody needs to worry."""
    lab.configure(KILLS, linger=True)
    job, said = submit()
    assert "user@0.service/app.slice/ktjob-" in lab.cgroup_of(runner_of(state))
    lab.log_out("session-1")
    server.let_go()
    assert job.result() == "Still here."
    assert job.status().attempt == 1
    assert "WARNING" not in said
    assert "could not leave" not in state.runner_log.read_text()


def test_without_lingering_it_survives_and_warns_of_the_last_logout(
    lab: LoginLab, state: StateDir, server: FakeServer, submit: Callable[[], tuple[Job, str]]
) -> None:
    """Another session keeps the user's manager alive; the cure helps the running job too."""
    lab.configure(KILLS, linger=False)
    job, said = submit()
    assert said.count("WARNING") == 1
    assert "last logout" in said and "loginctl enable-linger root" in said
    lab.log_out("session-1")
    server.let_go()
    assert job.result() == "Still here."


def test_where_logind_spares_nothing_is_done_about_it(
    lab: LoginLab, state: StateDir, submit: Callable[[], tuple[Job, str]]
) -> None:
    """Debian's default: the runner stays in the session, and nothing is said. That the lab's
    logout would have killed it shows that it does kill."""
    lab.configure(SPARES, linger=False)
    job, said = submit()
    runner = runner_of(state)
    assert lab.cgroup_of(runner).endswith("session-1.scope")
    assert "WARNING" not in said
    lab.log_out("session-1")
    assert identity.of(runner) is None
    assert job.status().state in ("QUEUED", "RUNNING")  # found dead, and tried again


def test_the_boot_unit_goes_on_and_its_stop_ends_no_request(
    lab: LoginLab,
    server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ktjob_command: list[str],
    until: Until,
) -> None:
    """Installed, enabled and started by the real manager, for a state directory whose path has
    all that its unit files give a meaning."""
    state = StateDir(tmp_path / 'st ate %h ${HOME} "q" \'é').create()
    monkeypatch.setenv("KTJOB_HOME", str(state.root))
    lab.configure(KILLS, linger=True)
    job = queued(state, server)
    done = lab.run("session-1", *ktjob_command, "install-unit")
    assert (done.returncode, done.stderr) == (0, "")
    assert lab.systemctl("is-enabled", "ktjob.service") == "enabled\n"
    lab.log_out("session-1")
    lab.systemctl("start", "default.target")  # as at boot
    server.wait_for_event("prefill_started")
    runner = runner_of(state)
    assert lab.cgroup_of(runner).endswith("ktjob.service")
    lab.systemctl("stop", "ktjob.service")
    assert identity.of(runner) is None
    server.let_go()
    until(lambda: look(state, job).status is Status.FINISHED)
    assert look(state, job).state == "SUCCEEDED"
    assert look(state, job).attempt == 1
    failed = lab.systemctl("list-units", "--failed", "--no-legend", "--plain")
    assert "ktjob" not in failed


def queued(state: StateDir, server: FakeServer) -> str:
    """A job as a reboot leaves it: stored, and nobody there to perform it."""
    spec = JobSpec(Task(Kind.SUMMARIZE, ""), server.url, None, 16, 3600.0)
    with Store.open(state) as store:
        new = NewJob(server.url, spec.to_json(), b"x" * 81_920, "title")
        return store.submit(new, Capacity(slots=1)).id


def look(state: StateDir, job_id: str) -> model.Job:
    with Store.open(state) as store:
        return store.job(job_id)
