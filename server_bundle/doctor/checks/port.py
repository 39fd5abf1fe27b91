"""Whether the port is free, and which process uses it: sglang checks it only after loading."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from server_bundle.doctor.case import Case
from server_bundle.doctor.facts.machine import Machine
from server_bundle.doctor.finding import Finding, error, note, ok, warning

_ABOUT = "port"
_LISTENING = "0A"
_ANY = ("0.0.0.0", "::")
_RESERVED = 1024
_LOCAL = re.compile(r"\|-- (\d+\.\d+\.\d+\.\d+)\n\s+/32 host LOCAL")
"""An address of this machine in /proc/net/fib_trie, the kernel's routes."""


def check(case: Case) -> Iterator[Finding]:
    """Check the port by the kernel's socket tables, without binding or connecting."""
    host, number = case.plan.host, case.plan.port
    sockets = list(_listening(case.machine, number, host))
    where = f"{host}:{number}"
    if not _has_address(case.machine, host):
        why = f"bind: {os.strerror(errno.EADDRNOTAVAIL)}, which sglang reports after loading"
        cure = "set --host to an address of this machine (ip addr), or to 127.0.0.1"
        yield error(_ABOUT, f"this machine does not have the address {host}", why, "bind(2)", cure)
    elif not sockets:
        yield ok(_ABOUT, f"{where} is free")
    for inode in sockets:
        yield _taken(case, where, inode)
    if number < _RESERVED:
        cure = "choose a port from 1024 on"
        yield warning(_ABOUT, f"port {number}", "only root may listen there", "ip(7)", cure)
    if host not in ("127.0.0.1", "localhost", "::1") and not case.flags.has(
        "--api-key", "--config"
    ):
        why = "anyone who can reach this machine can use the server and read its settings at "
        why += "/server_info"
        cure = "use 127.0.0.1, and ssh -L from other machines"
        yield note(_ABOUT, f"the server will listen on {host}", why, "", cure)


def _has_address(machine: Machine, host: str) -> bool:
    """Whether a server can listen on this address; True for a name, and where the kernel does not
    list the addresses (a container without /proc/net)."""
    try:
        wanted = ip_address(host)
    except ValueError:
        return True
    if wanted.is_loopback or wanted.is_unspecified:
        return True
    if wanted.version == 6:
        found = [line.split()[0] for line in machine.read("proc/net/if_inet6").splitlines()]
        return not found or wanted.packed.hex() in found
    known = _LOCAL.findall(machine.read("proc/net/fib_trie"))
    return not known or host in known


def _taken(case: Case, where: str, inode: str) -> Finding:
    pid = _owner(case.machine, inode)
    if pid is None:
        who = "a process that is not visible here: another user's, or outside this container"
    elif pid in case.machine.ours:
        return error(
            _ABOUT,
            f"{where} is in use by a server of ktserver: {case.machine.ours[pid]} (process {pid})",
            "it may be the server that you need",
            "",
            "use it (see ktserver status), or stop it first with ktserver down",
        )
    else:
        command = case.machine.read(f"proc/{pid}/cmdline").replace("\0", " ").strip()
        who = f"process {pid}: {command[:160] or case.machine.read(f'proc/{pid}/comm').strip()}"
    why = "sglang reports this only after loading everything, even after it wrote that it is ready"
    cure = "stop that process, or choose another --port"
    return error(_ABOUT, f"{where} is in use by {who}", why, "seen with sglang-kt 0.7.2", cure)


def _listening(machine: Machine, port: int, host: str) -> Iterator[str]:
    """The inodes of sockets that listen on this port of this host, or of all addresses."""
    for table in ("proc/net/tcp", "proc/net/tcp6"):
        for line in machine.read(table).splitlines()[1:]:
            fields = line.split()
            if len(fields) < 10 or fields[3] != _LISTENING:
                continue
            address, _, number = fields[1].rpartition(":")
            if int(number, 16) == port and _meet(host, _address(address)):
                yield fields[9]


def _address(told: str) -> str:
    """Parse an address of /proc/net/tcp: 32-bit words in the kernel's byte order (little-endian
    here)."""
    raw = b"".join(bytes.fromhex(told[at : at + 8])[::-1] for at in range(0, len(told), 8))
    address = ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _meet(host: str, other: str) -> bool:
    mine = "127.0.0.1" if host == "localhost" else host
    return mine in _ANY or other in _ANY or mine == other


def _owner(machine: Machine, inode: str) -> int | None:
    wanted = f"socket:[{inode}]"
    for link in machine.root.glob("proc/[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == wanted:
                return int(Path(link).parts[-3])
        except OSError:
            continue  # the process has ended, or belongs to another user
    return None
