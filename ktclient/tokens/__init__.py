"""A model's own vocabulary: from its `tokenizer.json` to exact token counts.

`convert` reads a tokenizer.json into a `Ranks`, `kimi` a tiktoken.model (with `slicing`), `ranks`
stores one as a file that loads fast, `pattern` turns the pre-tokenizer into one pattern, `counter`
counts with tiktoken, `bundled` has DeepSeek V4's, `store` finds a folder's. Nothing here knows
servers.
"""
