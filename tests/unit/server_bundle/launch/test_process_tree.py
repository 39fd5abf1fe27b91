"""Who belongs to a server, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.model import Identity
from jobs.processes import identity
from server_bundle.launch import process_tree

Until = Callable[..., object]


def of(pid: int) -> Identity:
    found = identity.of(pid)
    assert found is not None
    return found


class Leader:
    """A session with three children: two plain, one that left for a session of its own."""

    def __init__(self, until: Until) -> None:
        script = "sleep 600 & sleep 600 & setsid sleep 600 & wait"
        self.process = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True)
        self.me = of(self.process.pid)
        until(lambda: len(process_tree.members([self.me])) == 4)
        until(lambda: len({os.getsid(one.pid) for one in process_tree.members([self.me])}) == 2)
        children = [one for one in process_tree.members([self.me]) if one != self.me]
        self.plain = [one for one in children if os.getsid(one.pid) == self.me.pid]
        (self.stray,) = (one for one in children if one not in self.plain)

    def die(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def leader(until: Until) -> Iterator[Leader]:
    one = Leader(until)
    yield one
    one.die()
    process_tree.kill([one.me, *one.plain, one.stray])


def test_one_of_a_session_leads_to_all_of_it(leader: Leader) -> None:
    """Also when their parent was killed and they are another's children now."""
    leader.die()
    assert process_tree.members([leader.plain[0]]) == sorted(leader.plain, key=lambda one: one.pid)
    assert process_tree.members([leader.me]) == []  # a zombie or a dead one leads nowhere
    assert process_tree.members([leader.stray]) == [leader.stray]


def test_a_stranger_with_a_known_pid_is_not_of_the_family(leader: Leader) -> None:
    """Another start time, another boot."""
    later = replace(leader.me, start_ticks=leader.me.start_ticks + 1)
    before = replace(leader.me, boot_id="another")
    assert process_tree.members([later, before]) == []
    assert not process_tree.signal_to(later, signal.SIGKILL)
    assert identity.is_same_process_alive(leader.me)


def test_we_and_our_session_are_never_of_it(leader: Leader) -> None:
    """Nor is the keeper, whose children they are."""
    ours = of(os.getpid())
    assert leader.me in process_tree.members([ours, leader.me], os.getpid())
    assert ours not in process_tree.members([ours, leader.me], os.getpid())
    assert process_tree.members([ours]) == []


def test_what_lives_behind_a_dead_first_thread_is_of_the_family() -> None:
    """It has its memory still; /proc says "zombie" of the whole process."""
    script = (
        "import ctypes, sys, threading; threading.Thread(target=sys.stdin.read).start();"
        "print(flush=True); ctypes.CDLL(None).pthread_exit(None)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        me = of(process.pid)
        assert process.stdout is not None and process.stdout.readline()
        stat = Path(f"/proc/{process.pid}/stat")
        while stat.read_text().rsplit(")", 1)[1].split()[0] != "Z":
            assert process.poll() is None
        assert identity.is_same_process_alive(me) and identity.is_ending(me)
        assert process_tree.members([me]) == [me]
        assert process_tree.kill([me]) == (0, [])  # it was ending, as far as that shows
        assert not identity.is_same_process_alive(me)
    finally:
        process.kill()
        process.communicate()


def test_all_die(leader: Leader) -> None:
    """The stray too; how many is told."""
    hit, left = process_tree.kill([leader.me])
    assert (hit, left) == (4, [])
    assert not identity.is_same_process_alive(leader.stray)
