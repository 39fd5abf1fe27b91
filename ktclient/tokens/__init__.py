"""A text becomes a number of tokens, offline: an estimate, or an exact count by a vocabulary.

`estimate` needs no vocabulary. `tokenizer_json` reads a tokenizer.json into a `Ranks`, `kimi` a
tiktoken.model, `ranks` stores one as a file that loads fast, `pattern` turns the pre-tokenizer into
one pattern, `counter` counts with tiktoken, `bundled` has DeepSeek V4's, `vocabulary` finds a
folder's. Nothing here knows servers.
"""
