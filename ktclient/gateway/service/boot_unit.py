"""The text of the systemd user unit of a gateway. Pure.

The settings and the quoting follow systemd.service(5), systemd.kill(5) and systemd.syntax(7).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from jobs.system.systemd_unit import dollars, quoted

NAME = "ktjob-serve.service"
MARKER = (
    "# Written by `ktjob serve --install-unit`. To change it, remove this line: then it is yours."
)


def render(argv: Sequence[str], environment: Mapping[str, str], state: str) -> str:
    """The unit file."""
    words = [argv[0], *(dollars(word) for word in argv[1:])]
    variables = "\n".join(
        f"Environment={quoted(f'{name}={value}')}" for name, value in sorted(environment.items())
    )
    return f"""{MARKER}
[Unit]
Description=ktjob serve: OpenAI's HTTP interface over the job store
After=network.target

[Service]
Type=exec
ExecStart={" ".join(quoted(word) for word in words)}
# SIGTERM to the gateway alone: the runner and its workers, which it may have started, outlive it.
KillMode=process
OOMPolicy=continue
TimeoutStopSec=30
Restart=on-failure
RestartSec=5
LimitNOFILE=65536
UMask=0077
{variables}

[Install]
WantedBy=default.target

[X-Ktjob]
State={json.dumps(state)}
"""


def is_ours(text: str) -> bool:
    """Whether `ktjob serve --install-unit` wrote this unit and its marker line is still there."""
    return MARKER in text.splitlines()
