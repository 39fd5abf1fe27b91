"""The version of all JSON that commands print (`schema.json`)."""

from __future__ import annotations

SCHEMA = 1
"""The version of all JSON output. A new field does not change it; a removed field, or one with a
new meaning, does."""
