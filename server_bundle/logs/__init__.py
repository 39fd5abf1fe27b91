"""Parsing of an sglang server's log, line by line.

`line` removes the prefix. `batches`, `startup`, `memory`, `trouble`, `kt` and `access` each parse
some messages, and `events` tries them all. `counting` sums prefilled tokens, `ranks` filters copies
of one event, `following` reads a growing file. All modules but the last are pure. No text raises an
error; unknown values are None.
"""
