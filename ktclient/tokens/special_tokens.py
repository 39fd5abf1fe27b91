"""A model's own special tokens, from the files in its folder: what its server's tokenizer reads as
one mark, wherever it stands in a text.

Any of these files may be missing: tokenizer.json (`added_tokens`), tokenizer_config.json
(`added_tokens_decoder`, and what its fields name), special_tokens_map.json, added_tokens.json,
tekken.json (Mistral), and the chat template, whose literal marks need not be tokens (Llama 2's).
Nothing in them is run, and a file that is not a regular one or too large is not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jobs import parsing
from ktclient.tokens import model_file

MOST_BYTES = 64_000_000
"""Of one file: the largest tokenizer.json of a known model has 34 MB."""
MOST_TOKENS = 5_000
"""Of one model: DeepSeek V4 has 1,283, the known ones with reserved tokens some thousands."""
_MOST_ADDED = 4_000_000
"""Bytes of a list of added tokens; 1,283 of them have 0.2 MB."""
_CONFIGS = ("tokenizer_config.json", "special_tokens_map.json")
_TEMPLATES = ("chat_template.jinja", "chat_template.json")
_ADDED = re.compile(rb'"added_tokens"\s*:\s*')
_TEMPLATE_MARK = re.compile(
    r"<[|\uff5c][^\s<>{}'\"|\uff5c]{1,60}[|\uff5c]?>|<[^\s<>{}'\"|\uff5c]{1,60}[|\uff5c]>"
    r"|<</?[A-Z]{3,12}>>|\[/?[A-Z_]{3,30}\]"
)
_HTML = """
a abbr audio b blockquote body br button caption code dd del details div dl dt em figure footer form
h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label li link main mark meta nav
object ol option p pre q s samp script section select small source span strike strong style sub
summary sup svg table tbody td textarea tfoot th thead title tr tt u ul var video
"""
"""Elements that Gemma's vocabulary has as tokens, or might: they are ordinary text to a model."""
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)\s*/?>")
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


def folder_of(name: str) -> Path | None:
    """The folder that a server's `tokenizer_path` names on this machine: a path, or a model of the
    Hugging Face hub that was downloaded here, by its newest snapshot. None if there is none."""
    if name.startswith("/"):
        return Path(name)
    if not _HUB_NAME.fullmatch(name):
        return None
    cache = Path.home() / ".cache" / "huggingface" / "hub"
    try:
        snapshots = (cache / f"models--{name.replace('/', '--')}" / "snapshots").iterdir()
        return max(snapshots, key=lambda one: one.stat().st_mtime, default=None)
    except OSError:
        return None


def of_folder(folder: Path) -> tuple[str, ...]:
    """The special tokens of the model in this folder, sorted; empty if no file says any."""
    found: set[str] = set()
    for tokens in (_of_tokenizer, _of_configs, _of_tekken, _of_templates):
        try:
            found.update(tokens(folder))
        except (OSError, ValueError, RecursionError, TypeError, AttributeError, LookupError):
            continue  # missing, or of another form: the other files may say it
    return tuple(sorted(found)[:MOST_TOKENS])


def of_template(template: str) -> tuple[str, ...]:
    """The marks that a chat template contains as literal text. XML elements are none: templates
    explain their tools with them."""
    return tuple(sorted(set(_TEMPLATE_MARK.findall(template)))[:MOST_TOKENS])


def _bytes_of(path: Path) -> bytes:
    """A regular file's content. Raises `OSError`."""
    return model_file.read(path, MOST_BYTES)


def _of_tokenizer(folder: Path) -> Iterator[str]:
    """Only the list of added tokens is parsed: it comes first, and the vocabulary has megabytes."""
    content = _bytes_of(folder / "tokenizer.json")
    begin = _ADDED.search(content)
    if begin is None:
        return
    part = content[begin.end() : begin.end() + _MOST_ADDED].decode(errors="replace")
    added, _ = json.JSONDecoder().raw_decode(part)
    yield from _of_added(added)


def _of_added(added: Any) -> Iterator[str]:
    """Of a list of added tokens: all special ones, and of the others those in the form of a mark
    (Qwen's <tool_call> is not "special")."""
    for token in added:
        text = token["content"]
        if token.get("special") or (text[:1] in "<[]\uff5c" and not _is_ordinary(text)):
            yield text


def _of_configs(folder: Path) -> Iterator[str]:
    for name in _CONFIGS:
        try:
            config = parsing.of_json(_bytes_of(folder / name), infinite=True)
        except (OSError, ValueError):
            continue
        decoder = config.get("added_tokens_decoder")
        if isinstance(decoder, Mapping):
            yield from _of_added(decoder.values())
        for field, value in config.items():
            if field == "additional_special_tokens" or field.endswith("_token"):
                yield from _texts(value)
        template = config.get("chat_template")
        if isinstance(template, str):
            yield from of_template(template)


def _texts(value: Any) -> Iterator[str]:
    """Of "<s>", {"content": "<s>"} and lists of them: the texts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping) and isinstance(value.get("content"), str):
        yield value["content"]
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _of_tekken(folder: Path) -> Iterator[str]:
    content = parsing.of_json(_bytes_of(folder / "tekken.json"), infinite=True)
    for token in content.get("special_tokens") or ():
        yield str(token["token_str"])


def _of_templates(folder: Path) -> Iterator[str]:
    for name in _TEMPLATES:
        try:
            text = _bytes_of(folder / name).decode()
        except (OSError, ValueError):
            continue
        yield from of_template(text)


def _is_ordinary(mark: str) -> bool:
    """Whether a token in brackets is HTML, or stands for a byte."""
    tag = _TAG.fullmatch(mark)
    return bool(_BYTE.fullmatch(mark)) or (
        tag is not None and tag.group(1).lower() in _HTML.split()
    )
