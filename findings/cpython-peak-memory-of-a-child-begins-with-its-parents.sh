#!/usr/bin/env bash
# Tool: CPython 3.11.7 on Linux 6.18, psutil 7.2.2
# Surprise: `os.wait4` gives the peak memory of a child (ru_maxrss). That of a child that uses
#   two megabytes is half a gigabyte if its parent has ever had half a gigabyte: the kernel keeps the
#   peak of the memory that exec() replaces, and that was the parent's, with vfork as with fork. It
#   stays so after the parent has freed all. So a limit of a child's memory, or a verdict on why it
#   died, cannot be read from ru_maxrss where the parent may be larger than the child.
# Seen: the child of a parent with 17 MB: 17 MB; of one with 517 MB: 517 MB by vfork, 513 MB by fork;
#   of the same with 17 MB again: 517 MB.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  psutil==7.2.2

"$folder/venv/bin/python" - <<'PYTHON'
import os
import subprocess
import sys

import psutil

MEGABYTE = 1_000_000


def peak(**options):
    child = subprocess.Popen(["/bin/true"], **options)
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    return usage.ru_maxrss * 1024 // MEGABYTE


def parent():
    return psutil.Process().memory_info().rss // MEGABYTE


small = peak()
print(f"the child of a parent with {parent()} MB: {small} MB")
large = bytearray(b"x") * 500 * MEGABYTE
by_vfork, by_fork = peak(), peak(preexec_fn=lambda: None)
print(f"of one with {parent()} MB: {by_vfork} MB by vfork, {by_fork} MB by fork")
del large
later, now = peak(), parent()
print(f"of the same with {now} MB again: {later} MB")
if small > 100 or min(by_vfork, by_fork, later) < 400 or now > 100:
    sys.exit("changed: the figure of a child does not begin with its parent's")
PYTHON
