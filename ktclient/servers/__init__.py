"""Servers: which one to use, what it reports about itself, and short queries to it.

`probe.probe` detects which dialect a URL speaks; `dialects` has one module per dialect: what may be
added to a request, how prompt tokens are counted and how a request is aborted.
"""
