"""HTML before it becomes Markdown: what would change its meaning is spelled in characters.

Owns scripts, note marks, tables, blocks, pictures and formulas of a parsed page. It does not know
which document the page comes from.
"""
