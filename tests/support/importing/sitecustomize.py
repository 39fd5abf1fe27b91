"""Note what a worker imports between its request and its end: in KTJOB_IMPORTED, a line each."""

import os
import sys

if os.environ.get("KTJOB_IMPORTED") and "jobs.runner" in sys.orig_argv:
    from jobs.store.store import Store

    known: set[str] = set()
    enter_phase, finish = Store.enter_phase, Store.finish

    def begin(self, job_id, number, phase):  # type: ignore[no-untyped-def]
        if phase == "waiting":
            known.update(sys.modules)
        return enter_phase(self, job_id, number, phase)

    def end(self, *args):  # type: ignore[no-untyped-def]
        if known:
            with open(os.environ["KTJOB_IMPORTED"], "a") as file:  # noqa: PTH123
                file.write(" ".join(sorted(sys.modules.keys() - known)) + "\n")
        return finish(self, *args)

    Store.enter_phase, Store.finish = begin, end  # type: ignore[method-assign]
