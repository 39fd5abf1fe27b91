"""An sglang server's log: followed while it is written, or explained afterwards.

`line` removes the prefix. `batches`, `start_stages`, `memory`, `failures`, `ktransformers` and
`access` each parse some messages, and `events` tries them all. `prefill_count` sums prefilled
tokens, `ranks` filters copies of one event, `follower` reads a growing file. `stages` reads a whole
file with the stage of each line, `catalogue` has the known failures, `explain` finds them. All
modules but `follower` are pure. No text raises an error; unknown values are None.
"""
