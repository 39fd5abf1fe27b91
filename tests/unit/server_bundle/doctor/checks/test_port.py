"""An address that is not this machine's: sglang would find out after minutes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.machines import Recorded, guide

from server_bundle import doctor
from server_bundle.doctor import Severity

TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.1.2.0
        /24 link UNICAST
     |-- 10.1.2.3
        /32 host LOCAL
     |-- 10.1.2.255
        /32 link BROADCAST
Local:
     |-- 127.0.0.1
        /32 host LOCAL
"""
"""/proc/net/fib_trie, shortened."""
IF_INET6 = "fe80000000000000021122fffe334455 02 40 20 80     eth0\n"


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("10.1.2.3", True),
        ("10.1.2.0", False),
        ("10.9.8.7", False),
        ("127.0.0.5", True),
        ("0.0.0.0", True),
        ("fe80::211:22ff:fe33:4455", True),
        ("fe80::1", False),
        ("gpu1.example.org", True),
    ],
)
def test_an_address_has_to_be_this_machines(
    box: Recorded, model: Path, host: str, is_here: bool
) -> None:
    """By the kernel's own lists; a name is left to the server."""
    box.files |= {"proc/net/fib_trie": TRIE, "proc/net/if_inet6": IF_INET6}
    found = doctor.examine(guide(model, "--api-key", "x", host=host), box.machine())
    wrong = [one for one in found if one.about == "port" and one.severity is Severity.ERROR]
    assert (wrong == []) == is_here
    if wrong:
        assert f"does not have the address {host}" in wrong[0].found


def test_without_the_kernels_list_nothing_is_claimed(box: Recorded, model: Path) -> None:
    found = doctor.examine(guide(model, "--api-key", "x", host="10.9.8.7"), box.machine())
    assert all(one.severity is not Severity.ERROR for one in found if one.about == "port")
