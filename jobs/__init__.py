"""Durable, detached execution: a queue in SQLite and the processes that run its jobs.

This package knows nothing of HTTP, tokens or language models. A job has a *pool* (whose capacity
the caller supplies), a *weight*, a document and a spec that only the work itself understands.
`jobs/store` is the only access to the database, and `jobs/processes` the only room that forks.
The two processes are `jobs/runner` and `jobs/worker`.
"""
