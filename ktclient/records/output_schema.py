"""The version of all JSON that commands print (`schema.json`)."""

from __future__ import annotations

SCHEMA = 1
"""Of all JSON that is printed. A field that is added does not change it; one that goes, or comes
to mean something else, does."""
