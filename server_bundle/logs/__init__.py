"""What an sglang server writes about itself, read line by line.

`line` takes the prefix off, `batches`, `startup`, `memory`, `trouble`, `kt` and `access` each know
some messages, `events` asks them all; `counting` sums what was prefilled, `ranks` tells the copies
of one event apart, `following` reads a file that grows. All pure but the last. Nothing raises on
any text, and what is not known is None.
"""
