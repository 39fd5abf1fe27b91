"""The text of a systemd unit that runs a planned server. Pure.

systemd.service(5), systemd.kill(5) and systemd.exec(5) describe the settings.
"""

from __future__ import annotations

from jobs.system.systemd_unit import dollars, quoted
from server_bundle.plan.launch_plan import LaunchPlan

STOP_SECONDS = 90
"""Time for requests to end; sglang itself would wait forever (seen on sglang-kt 0.7.2)."""


def render(plan: LaunchPlan) -> str:
    """The unit file, for the system's or a user's systemd."""
    words = [plan.command[0], *(dollars(word) for word in plan.command[1:])]
    environment = "\n".join(
        f"Environment={quoted(f'{name}={value}')}"
        for name, value in sorted({"PYTHONUNBUFFERED": "1", **plan.environment}.items())
    )
    return f"""[Unit]
Description=ktserver: {_plain(plan.profile)} on port {plan.port}
After=network.target nvidia-persistenced.service
# Limit the restarts of a server that cannot start.
StartLimitIntervalSec=3600
StartLimitBurst=4

[Service]
Type=exec
ExecStart={" ".join(quoted(word) for word in words)}
{environment}
# SIGTERM to the server alone, which then finishes its requests; SIGKILL to all of its processes
# after the timeout: no scheduler stays behind with the GPU's memory.
KillMode=mixed
TimeoutStopSec={STOP_SECONDS}
# Weights and pinned buffers: the default of 8 MB is far too little.
LimitMEMLOCK=infinity
LimitNOFILE=1048576
Restart=on-failure
RestartSec=30
OOMPolicy=stop
UMask=0077

[Install]
WantedBy=default.target
"""


def _plain(name: str) -> str:
    return name.replace("%", "%%")
