"""Whether a folder of weights is complete: it compares the index with the files, and each file with
its own header, from which its exact size follows. It reads only headers, not the weights.

The format: 8 bytes with the length of the header, the header as JSON, the tensors without gaps.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs import parsing

INDEX = "model.safetensors.index.json"
_LARGEST_HEADER = 100_000_000
"""In bytes; the format's own limit."""
_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Damage:
    """A damaged file. `expected`: its size by the header, in bytes; None for a bad header."""

    name: str
    size: int
    expected: int | None
    why: str


@dataclass
class Checkpoint:
    """The content of a folder. Names are relative to it; sizes are in bytes."""

    folder: Path
    is_there: bool = False
    trouble: str = ""
    """Why its configuration or index cannot be read."""
    config: Mapping[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)
    absent_tensors: int = 0
    """How many tensors of the index are in no file."""
    unfinished: list[str] = field(default_factory=list)
    """Partial files of a download."""
    others: list[str] = field(default_factory=list)
    """Weights in other formats: .gguf, .bin, .pt."""

    @property
    def total(self) -> int:
        return sum(self.sizes.values())

    @property
    def architectures(self) -> list[str]:
        named = self.config.get("architectures")
        return [str(one) for one in named] if isinstance(named, list) else []

    @property
    def is_whole(self) -> bool:
        return bool(self.sizes) and not (self.missing or self.damaged or self.absent_tensors)


def look(folder: Path) -> Checkpoint:
    """Read a folder. It raises nothing for a bad one."""
    seen = Checkpoint(folder, folder.is_dir())
    if not seen.is_there:
        return seen
    seen.config = _object(folder / "config.json", seen)
    promised = _promised(folder / INDEX, seen)
    names = sorted(set(promised.values())) or sorted(p.name for p in folder.glob("*.safetensors"))
    tensors: set[str] = set()
    for name in names:
        if (folder / name).is_file():
            seen.sizes[name] = (folder / name).stat().st_size
            tensors |= _tensors(folder / name, name, seen)
        else:
            seen.missing.append(name)
    if not seen.missing and not seen.damaged:
        seen.absent_tensors = len(set(promised) - tensors)
    seen.unfinished = sorted(
        str(path.relative_to(folder))
        for pattern in ("*.incomplete", "*.aria2", "*.part", ".cache/huggingface/**/*.incomplete")
        for path in folder.glob(pattern)
    )
    seen.others = sorted(
        path.name for kind in ("gguf", "bin", "pt", "pth") for path in folder.glob(f"*.{kind}")
    )
    return seen


def _object(path: Path, seen: Checkpoint) -> Mapping[str, Any]:
    try:
        content = parsing.of_json(parsing.read_text(path, _LARGEST_HEADER), infinite=True)
    except FileNotFoundError:
        seen.trouble = f"{path.name} is missing"
        return {}
    except (OSError, ValueError) as error:
        seen.trouble = f"{path.name} cannot be read: {error}"
        return {}
    return content if isinstance(content, dict) else {}


def _promised(path: Path, seen: Checkpoint) -> dict[str, str]:
    """Tensor to file, by the index; nothing without one."""
    if not path.exists():
        return {}
    table = _object(path, seen).get("weight_map")
    if not isinstance(table, dict):
        seen.trouble = seen.trouble or f"{path.name} lists no weights"
        return {}
    return {str(tensor): str(name) for tensor, name in table.items()}


def _tensors(path: Path, name: str, seen: Checkpoint) -> set[str]:
    """The tensors in a file. Records the file as damaged when its size and header differ."""
    size = seen.sizes[name]
    try:
        with path.open("rb") as file:
            start = file.read(max(8, len(_POINTER)))
            if start.startswith(_POINTER):
                seen.damaged.append(Damage(name, size, None, "a git-lfs pointer, not the file"))
                return set()
            (length,) = struct.unpack("<Q", start[:8])
            if length > min(size, _LARGEST_HEADER):
                raise ValueError("its header is truncated or invalid")
            file.seek(8)
            header = parsing.of_json(file.read(length))
        header.pop("__metadata__", None)
        end = max((int(one["data_offsets"][1]) for one in header.values()), default=0)
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        seen.damaged.append(Damage(name, size, None, str(error) or type(error).__name__))
        return set()
    expected = 8 + length + end
    if size != expected:
        seen.damaged.append(Damage(name, size, expected, "its size does not match its header"))
    return set(header)
