"""The version of the package, for rooms that must not import the package's face."""

from __future__ import annotations

__version__ = "0.1.0"
"""The same as in pyproject.toml."""
