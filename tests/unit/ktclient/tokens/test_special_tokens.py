"""A model's own list of special tokens, from the files that models come with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ktclient.tokens import special_tokens


def added(*marks: str, special: bool = True) -> list[dict[str, Any]]:
    return [{"id": n, "content": mark, "special": special} for n, mark in enumerate(marks)]


def put(folder: Path, name: str, content: object) -> None:
    folder.joinpath(name).write_text(
        content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), "utf-8"
    )


def test_each_file_of_a_tokenizer_says_its_part(tmp_path: Path) -> None:
    """As transformers 4 and 5, tiktoken's users and mistral-common write them."""
    put(tmp_path, "tokenizer.json", {"version": "1.0", "added_tokens": added("<|a|>"), "model": {}})
    decoder = {"7": {"content": "]~b]", "special": True}, "8": {"content": "<tool_call>"}}
    config = {
        "added_tokens_decoder": decoder,
        "bos_token": {"__type": "AddedToken", "content": "<s>"},
        "eos_token": "</s>",
        "additional_special_tokens": ["<x>", {"content": "<y>"}],
        "chat_template": "{{ bos_token }}[INST] {{ m.content }} [/INST]",
    }
    put(tmp_path, "tokenizer_config.json", config)
    put(tmp_path, "special_tokens_map.json", {"pad_token": "<pad>"})
    put(tmp_path, "tekken.json", {"special_tokens": [{"rank": 3, "token_str": "[TOOL_CALLS]"}]})
    put(tmp_path, "chat_template.jinja", "{{ '<|turn>' + role }}<turn|> <<SYS>> <tools>{a}</tools>")
    assert set(special_tokens.of_folder(tmp_path)) == {
        *(
            "<|a|>",
            "]~b]",
            "<tool_call>",
            "<s>",
            "</s>",
            "<x>",
            "<y>",
            "[INST]",
            "[/INST]",
            "<pad>",
        ),
        *("[TOOL_CALLS]", "<|turn>", "<turn|>", "<<SYS>>"),
    }


def test_tokens_that_are_ordinary_text_are_none(tmp_path: Path) -> None:
    """Gemma's HTML, bytes and runs of blanks are added tokens that are not special."""
    ordinary = ("<h1>", "</table>", "<br/>", "<0x0A>", "\n\n", "  ", "<strong>", "word")
    tokens = [*added(*ordinary, special=False), *added("<unused7>", "[multimodal]", special=False)]
    put(tmp_path, "tokenizer.json", {"added_tokens": tokens})
    assert special_tokens.of_folder(tmp_path) == ("<unused7>", "[multimodal]")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        '{"added_tokens": {}}',
        '{"added_tokens": [1]}',
        "\0",
        "[" * 9999,
        '{"added_tokens_decoder": [1], "bos_token": 5}',
        '{"special_tokens": [{}]}',
    ],
)
def test_a_file_of_another_form_says_nothing(tmp_path: Path, content: str) -> None:
    """And the others are read all the same."""
    names = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tekken.json")
    for name in names:
        put(tmp_path, name, content)
    put(tmp_path, "chat_template.jinja", "<|im_start|>")
    assert special_tokens.of_folder(tmp_path) == ("<|im_start|>",)


def test_only_regular_files_of_a_sane_size_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may name any folder: a pipe without a writer, a device, a file without end."""
    os.mkfifo(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").symlink_to("/dev/zero")
    (tmp_path / "chat_template.jinja").mkdir()
    put(tmp_path, "special_tokens_map.json", {"pad_token": "<pad>"})
    with (tmp_path / "tekken.json").open("wb") as file:
        file.truncate(special_tokens.MOST_BYTES + 1)
    assert special_tokens.of_folder(tmp_path) == ("<pad>",)
    assert special_tokens.of_folder(tmp_path / "gone") == ()
    monkeypatch.setattr(special_tokens, "MOST_TOKENS", 2)
    put(tmp_path, "special_tokens_map.json", {"additional_special_tokens": ["<a>", "<b>", "<c>"]})
    assert special_tokens.of_folder(tmp_path) == ("<a>", "<b>")


def test_a_model_of_the_hub_is_read_from_where_it_was_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its newest snapshot; nothing else that is no path is one, and never one in this folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    snapshots = tmp_path / ".cache/huggingface/hub/models--org--m-1.5/snapshots"
    older, newer = snapshots / "a", snapshots / "b"
    for seconds, folder in enumerate((older, newer)):
        folder.mkdir(parents=True)
        os.utime(folder, (seconds, seconds))
    (tmp_path / "org" / "other").mkdir(parents=True)
    assert special_tokens.folder_of("org/m-1.5") == newer
    assert special_tokens.folder_of("/models/m") == Path("/models/m")
    for name in ("org/other", "", "m", "../m", "org/../m", "a/b/c", "org/m-1.5\n"):
        assert special_tokens.folder_of(name) is None, name
