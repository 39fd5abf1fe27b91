"""A server's end: asked for, by itself, or by somebody's kill -9; and its keeper's."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable

import pytest
from fake_sglang.asking import PROMPT, chat
from support.serving import Lab, free_port

from jobs.model import Capacity, NewJob
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from server_bundle.launch import registry

Until = Callable[..., object]
SLOW = ("--prefill-seconds", "60", "--tokens-per-char", "4096", "--drain")
FAMILY = ("--children", "2", "--strays", "2")


@pytest.fixture
def lab(state: StateDir) -> Lab:
    return Lab(state)


def up(lab: Lab, *options: str, args: tuple[str, ...] = (), **changes: object) -> None:
    done = lab.up(lab.plan(*options, **changes), "--no-warm-up", *args)
    assert done.returncode == 0, done.stderr


def kill(lab: Lab, whom: str) -> None:
    one = getattr(lab.note(), whom)
    os.kill(one.pid, signal.SIGKILL)


def test_down_lets_requests_end(lab: Lab) -> None:
    """The answer arrives whole, and nothing of the family is left."""
    up(lab, *FAMILY, "--drain", "--prefill-seconds", "20", "--speed", "10")
    said = []
    asking = threading.Thread(target=lambda: said.append(chat(lab.engine(), "x").reason))
    asking.start()
    lab.engine().wait_for_event("prefill_started")
    down = lab.run("down")
    asking.join()
    assert (down.returncode, said) == (0, ["length"]), down.stderr
    assert lab.living() == []
    ended = lab.note().ended
    assert ended is not None and ended.asked and ended.lost == ()
    assert lab.run("status").returncode == 6


@pytest.mark.promise
def test_a_drain_is_bounded_and_tells_what_was_lost(lab: Lab, until: Until) -> None:
    """sglang waits for ever; its own last word names the requests. Ctrl-C ends only the looking
    on, and whoever says so later may want it sooner."""
    up(lab, *SLOW, *FAMILY)
    asking = threading.Thread(target=lambda: _failing(lambda: chat(lab.engine(), PROMPT, rid="r9")))
    asking.start()
    lab.engine().wait_for_event("prefill_started")
    with lab.starting("down", "--timeout", "600") as patient:
        until(lambda: "remaining_rids=['r9']" in lab.log())
        patient.send_signal(signal.SIGINT)
        _, told = patient.communicate()
    assert patient.returncode == 130 and "is still stopping" in told
    assert lab.state_of() == "draining" and len(lab.living()) == 5
    down = lab.run("down", "--timeout", "0.2")
    asking.join()
    assert down.returncode == 0 and "requests that were lost, by their rid: r9" in down.stderr
    assert "that had to be killed" in down.stderr
    assert lab.living() == []


def _failing(call: Callable[[], object]) -> None:
    with pytest.raises(Exception):  # noqa: B017 - however a connection to a killed server ends
        call()


def test_a_server_that_is_deaf_to_sigterm_is_killed(lab: Lab) -> None:
    """In bounded time. `ktserver` alone makes no job database."""
    up(lab, "--deaf", *FAMILY)
    assert lab.run("down", "--timeout", "0.5").returncode == 0
    assert lab.living() == []
    assert lab.run("down").stderr.startswith("'fake' is not running")
    assert not lab.state.database.exists()


def test_a_killed_server_leaves_nothing_behind_and_is_called_crashed(
    lab: Lab, until: Until
) -> None:
    """Its schedulers hold the GPUs' memory; without a policy nobody starts it again."""
    up(lab, *FAMILY)
    kill(lab, "server")
    until(lambda: lab.state_of() == "crashed")
    until(lambda: lab.living() == [])
    status = lab.run("status")
    assert status.returncode == 6 and "crashed; SIGKILL" in status.stderr
    again = lab.run("restart")
    assert again.returncode == 0 and lab.state_of() == "ready"


def test_a_killed_keeper_takes_nothing_with_it(lab: Lab, until: Until) -> None:
    """The server answers and writes; status, up, logs and down find it, strays and all."""
    plan = lab.plan(*FAMILY)
    assert lab.up(plan, "--no-warm-up").returncode == 0
    until(lambda: len(lab.note().members) == 5)
    kill(lab, "keeper")
    until(lambda: not lab.seen().is_kept)
    assert chat(lab.engine(), "x").status == 200
    status = lab.run("status")
    assert status.returncode == 0 and "its supervisor" in status.stderr
    assert lab.up(plan).returncode == 0
    assert "POST /v1/chat/completions" in lab.run("logs").stdout
    assert len(lab.living()) == 5
    down = lab.run("down")
    assert down.returncode == 0 and lab.living() == []
    assert lab.state_of() == "stopped"


def test_both_killed_leave_children_that_down_ends(lab: Lab, until: Until) -> None:
    """A new start is refused until then; a stranger is not touched."""
    plan = lab.plan(*FAMILY)
    assert lab.up(plan, "--no-warm-up").returncode == 0
    until(lambda: len(lab.note().members) == 5)
    kill(lab, "keeper")
    kill(lab, "server")
    until(lambda: lab.state_of() == "crashed")
    assert len(lab.seen().leftovers) == 4
    refused = lab.up(plan)
    assert refused.returncode == 1 and "left over" in refused.stderr
    assert lab.run("down").returncode == 0
    assert lab.living() == []


@pytest.mark.promise
def test_a_keeper_that_stands_still_does_not_stop_down(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP: it hears nothing until it goes on; it is killed, and its server ended."""
    from server_bundle.launch import stop

    up(lab, *FAMILY)
    os.kill(lab.note().keeper.pid, signal.SIGSTOP)
    monkeypatch.setattr(stop, "KEEPER_SECONDS", 0.5)
    stopped = stop.down(lab.files(), 0.5, lambda spent: None)
    assert stopped is not None and stopped.immortal == ()
    assert not identity.is_same_process_alive(stopped.server.keeper)
    assert lab.living() == []


def test_a_crash_is_followed_by_a_restart_and_told(state: StateDir, until: Until) -> None:
    """Each one is counted and noted; failures in a row end it."""
    lab = Lab(
        state,
        (
            "server_bundle.launch.backoff:FIRST_SECONDS=0.1",
            "server_bundle.launch.backoff:QUICK_FAILURES=2",
        ),
    )
    up(lab, "--children", "1", args=("--restart", "on-failure"))
    first = lab.note().server
    kill(lab, "server")
    until(lambda: lab.note().restart_count == 1 and lab.state_of() == "ready")
    assert lab.note().server != first and len(lab.living()) == 2
    status = lab.run("status")
    assert "1 so far, the last" in status.stderr and "SIGKILL" in status.stderr
    kill(lab, "server")
    until(lambda: lab.note().restart_count == 2 and lab.state_of() == "ready")
    kill(lab, "server")
    until(lambda: lab.state_of() == "crashed")
    assert "2 so far" in lab.run("status").stderr
    assert lab.log().count("ktserver: started process") == 3
    assert "failures in a row: not restarting any more" in lab.log()
    assert "warming up" not in lab.log()  # as `up --no-warm-up` had it
    assert lab.living() == []


@pytest.mark.promise
def test_a_restarted_server_is_warmed_up_as_by_up(state: StateDir, until: Until) -> None:
    """So the first user after a crash waits for no kernels; and why it died can still be read,
    although the log goes on with a healthy run."""
    lab = Lab(state, ("server_bundle.launch.backoff:FIRST_SECONDS=0.1",))
    started = lab.up(lab.plan("--children", "1"), "--restart", "on-failure")
    assert started.returncode == 0, started.stderr
    kill(lab, "server")
    until(lambda: lab.note().warm_up.startswith("warmed up with "))
    _, warmed = lab.engine().events("finished")  # the first is the warm-up of `up`
    assert warmed["prefilled"] >= 2048
    assert f"warm-up  warmed up with {warmed['prefilled']:,} tokens" in lab.run("status").stderr
    assert "ktserver: warming up with 2,048 tokens" in lab.log()
    for words in (("--last",), ("fake",)):
        told = lab.run("explain", *words)
        assert told.returncode == 0 and "FAIL  killed: " in told.stdout
        assert "ktserver has started the server again since, once" in told.stdout
    assert lab.run("down").returncode == 0


@pytest.mark.promise
def test_down_ends_the_wait_for_a_restart(state: StateDir, until: Until) -> None:
    """It is stopped then, not crashed."""
    lab = Lab(state, ("server_bundle.launch.backoff:FIRST_SECONDS=60",))
    up(lab, args=("--restart", "on-failure"))
    kill(lab, "server")
    until(lambda: lab.state_of() == "waiting")
    assert "starts again at" in lab.run("status").stderr
    assert lab.run("down").returncode == 0
    assert lab.state_of() == "stopped"


@pytest.mark.promise
def test_a_server_with_jobs_of_ours_is_not_stopped_by_the_way(lab: Lab, state: StateDir) -> None:
    """Their documents would be read twice. --force is one's own will, and names them."""
    up(lab)
    with Store.open(state) as store:
        spec = json.dumps({"server": lab.note().url.replace("127.0.0.1", "localhost")})
        job = store.submit(NewJob("pool", spec, b"text", "title"), Capacity(slots=1))
        store.claim(job.id, identity.mine())
    lock = state.worker_lock(job.id)
    lock.parent.mkdir(exist_ok=True)
    held = identity.hold(lock)
    assert held is not None
    held.sign()
    for command in ("down", "restart"):
        refused = lab.run(command)
        assert refused.returncode == 1 and job.id in refused.stderr, refused.stderr
    assert lab.state_of() == "ready"
    assert job.id in lab.run("status").stderr
    forced = lab.run("down", "--force")
    assert forced.returncode == 0 and job.id in forced.stderr
    held.release()


def test_a_full_log_is_cut_while_it_is_written(state: StateDir, until: Until) -> None:
    """Under a server that never stops writing; `logs -f` goes on and ends with the server."""
    lab = Lab(state, ("server_bundle.launch.log_rotation:LIMIT_BYTES=20000",))
    up(lab, "--flood", "2000")
    log, last = lab.files().log, lab.files().last_log
    until(last.exists)
    assert last.stat().st_mode & 0o777 == 0o600
    until(lambda: log.stat().st_size < 20_000)
    with lab.starting("logs", "-f", "--lines", "1") as follower:
        assert follower.stdout is not None
        early = [follower.stdout.readline() for _ in range(3000)]
        assert lab.run("down").returncode == 0
        said, told = follower.communicate()
    numbers = [int(line.split()[-1]) for line in [*early, *said.splitlines()] if " flood " in line]
    assert numbers == sorted(set(numbers))
    assert "the server has ended" in told


def test_two_servers_side_by_side(lab: Lab, state: StateDir) -> None:
    """Each by its name; without one it is not guessed who is meant."""
    up(lab)
    other = lab.plan(name="other", port=free_port())
    assert lab.up(other, "--no-warm-up").returncode == 0
    lines = [json.loads(line) for line in lab.run("status", "--json").stdout.splitlines()]
    assert {line["name"]: line["state"] for line in lines} == {"fake": "ready", "other": "ready"}
    unclear = lab.run("down")
    assert unclear.returncode == 2 and "fake" in unclear.stderr and "other" in unclear.stderr
    assert lab.run("down", "other").returncode == 0
    assert [one.server.name for one in registry.all_of(state.servers) if one.is_there] == ["fake"]
    assert lab.run("logs", "nobody").returncode == 2
    assert lab.run("down", "--dry-run").returncode == 0 and lab.state_of() == "ready"


def test_status_tells_busy_from_idle(lab: Lab, until: Until) -> None:
    """A chunked prefill is in no list: running 0, queued 0, tokens growing."""
    up(lab, *SLOW, "--metrics")
    assert json.loads(lab.run("status", "--json").stdout)["state"] == "ready"
    asking = threading.Thread(target=lambda: _failing(lambda: chat(lab.engine(), PROMPT)))
    asking.start()
    lab.engine().wait_for_event("prefill_started")
    until(lambda: json.loads(lab.run("status", "--json").stdout)["state"] == "busy")
    assert lab.run("down", "--timeout", "0").returncode == 0
    asking.join()
