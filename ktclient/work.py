"""`ktclient.work:perform`: the name by which a runner finds its work.

It is written in systemd units and in the argv of live runners, so it stays. The work itself is in
`ktclient/worker/` and `ktclient/notify/`.
"""

from __future__ import annotations

from ktclient.notify.delivery import deliver as deliver
from ktclient.worker.perform import perform as perform
from ktclient.worker.perform import prepare as prepare
from ktclient.worker.perform import tidy as tidy
