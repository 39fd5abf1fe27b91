"""Servers' facts and queries, one module per dialect.

`probe.probe` detects which dialect a URL speaks; a dialect knows what may be added to a
request, how prompt tokens are counted and how a request is aborted.
"""
