"""The boot unit's text: all of it once, and its quoting of whatever a path may hold."""

from __future__ import annotations

import pytest

from jobs.system import systemd_unit
from jobs.system.systemd_unit import BootUnit

UNIT = BootUnit(
    python="/venv/bin/python",
    state="/home/me/.local/state/ktjob",
    argv=["/venv/bin/python", "-m", "jobs.runner", "/home/me/.local/state/ktjob"],
    environment={"KTJOB_SERVER": "http://127.0.0.1:40001", "KTJOB_HOME": "/home/me/100% $HOME"},
)
TEXT = """\
# Written by `ktjob install-unit`. To change it, remove this line: then it is yours.
[Unit]
Description=ktjob: continue waiting jobs

[Service]
Type=exec
ExecStart="/venv/bin/python" "-m" "jobs.runner" "/home/me/.local/state/ktjob"
# A runner exits when it has had nothing to do for a minute: that is no failure. Requests run in
# processes of their own, which outlive it, a stop of this unit, and each other.
KillMode=process
OOMPolicy=continue
TimeoutStopSec=30
Restart=on-failure
RestartSec=10
UMask=0077
Environment="KTJOB_HOME=/home/me/100%% $HOME"
Environment="KTJOB_SERVER=http://127.0.0.1:40001"

[Install]
WantedBy=default.target

[X-Ktjob]
Python="/venv/bin/python"
State="/home/me/.local/state/ktjob"
"""


def test_the_whole_text() -> None:
    """As reviewed; a change of it is a change of what users have installed."""
    assert systemd_unit.render(UNIT) == TEXT


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("/a b/c", '"/a b/c"'),
        ("50%h", '"50%%h"'),
        ("$HOME", '"$$HOME"'),
        ('"', '"\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("'", '"\'"'),
        ("two\nlines", '"two\\x0alines"'),
        ("é", '"\\xc3\\xa9"'),
        ("\udcff", '"\\xff"'),
        (";", '";"'),
        ("", '""'),
    ],
)
def test_each_word_is_one_word_and_means_itself(word: str, quoted: str) -> None:
    """systemd.syntax(7), systemd.service(5) "Command lines"."""
    text = systemd_unit.render(BootUnit("p", "s", ["/p", word], {}))
    assert f'ExecStart="/p" {quoted}\n' in text


def test_the_program_itself_is_not_expanded() -> None:
    """So its dollars are not doubled (systemd.service(5)); its percents are."""
    text = systemd_unit.render(BootUnit("p", "s", ["/a$b%c", "x"], {"KTJOB_X": "a$b%c"}))
    assert 'ExecStart="/a$b%%c" "x"\n' in text
    assert 'Environment="KTJOB_X=a$b%%c"\n' in text


def test_what_it_serves_can_be_read_back() -> None:
    """Whatever the paths; and only from a file that says so."""
    odd = BootUnit('/py"\\\n\udcff', "/st ate%", ["/p"], {})
    served = systemd_unit.served(systemd_unit.render(odd))
    assert served == systemd_unit.Served('/py"\\\n\udcff', "/st ate%")
    assert systemd_unit.served("[Service]\nExecStart=/bin/true\n") is None
    assert systemd_unit.served('Python="a"\nState="unfinished\n') is None


def test_a_file_is_ours_as_long_as_it_says_so() -> None:
    """The marker tells how to make it one's own."""
    assert systemd_unit.is_ours(TEXT)
    assert not systemd_unit.is_ours(TEXT.replace(systemd_unit.MARKER + "\n", ""))
    assert not systemd_unit.is_ours("")


def test_settings_come_along_and_secrets_do_not() -> None:
    """Ours and the proxies; never a key, a password in an address, or what is one process's."""
    kept, withheld = systemd_unit.split_environment(
        {
            "KTJOB_SERVER": "http://127.0.0.1:40001",
            "KTJOB_MODEL": "",
            "KTJOB_API_KEY": "sk-1",
            "KTJOB_HOME": "relative",
            "KTJOB_READY_FD": "7",
            "HTTPS_PROXY": "http://me:secret@proxy:3128",
            "http_proxy": "proxy:3128",
            "no_proxy": "localhost",
            "PATH": "/bin",
            "OPENAI_API_KEY": "sk-2",
        }
    )
    assert kept == {
        "KTJOB_SERVER": "http://127.0.0.1:40001",
        "http_proxy": "proxy:3128",
        "no_proxy": "localhost",
    }
    assert withheld == ["HTTPS_PROXY", "KTJOB_API_KEY"]
