"""Durable, detached execution: a queue in SQLite and the processes that work it off.

This package has never heard of HTTP, tokens or language models. A job has a *pool* (whose
capacity someone else tells it), a *weight*, a document and a spec that only the work itself
understands. `jobs/store` is the only door to the database, `jobs/processes` the only room that
forks, `jobs/runner` and `jobs/worker` the two processes.
"""
