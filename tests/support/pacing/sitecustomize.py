"""Minutes as fractions of a second, injected by environment: no hook in the product.

KTJOB_PACE is a comma list of MODULE:CONSTANT=NUMBER, set in the runner before it forks workers, and
in keepers of servers.
"""

import importlib
import os
import sys

if os.environ.get("KTJOB_PACE") and {"jobs.runner", "server_bundle.launch.supervisor"} & {
    *sys.orig_argv
}:
    for _setting in os.environ["KTJOB_PACE"].split(","):
        _place, _number = _setting.split("=")
        _module, _constant = _place.split(":")
        _owner = importlib.import_module(_module)
        assert isinstance(getattr(_owner, _constant), float | int), _setting
        setattr(_owner, _constant, type(getattr(_owner, _constant))(float(_number)))
