"""`ktclient.work:perform`: the name by which a runner finds its work.

The name is written in systemd units and in the argv of live runners, so it stays. The work itself
is in `ktclient/worker/` and `ktclient/notify/`.
"""

from __future__ import annotations

from ktclient.notify import delivery
from ktclient.worker import perform as work

begins = work.begins
may_share = work.may_share
perform = work.perform
prepare = work.prepare
tell = delivery.deliver
tidy = work.tidy
