"""What may be typed for a model."""

from __future__ import annotations

import pytest

from server_bundle.errors import FetchRefused
from server_bundle.weights import source
from server_bundle.weights.source import HUGGING_FACE, MODELSCOPE, Source


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Qwen/Qwen3-8B", Source(HUGGING_FACE, "Qwen/Qwen3-8B")),
        ("Qwen/Qwen3-8B@v1.0", Source(HUGGING_FACE, "Qwen/Qwen3-8B", "v1.0")),
        ("a_b/c.d@refs/pr/1", Source(HUGGING_FACE, "a_b/c.d", "refs/pr/1")),
        ("modelscope:org/name", Source(MODELSCOPE, "org/name")),
        ("https://huggingface.co/org/name/tree/main", Source(HUGGING_FACE, "org/name", "main")),
        ("https://www.modelscope.cn/models/org/name", Source(MODELSCOPE, "org/name")),
    ],
)
def test_a_model_is_named(text: str, meant: Source) -> None:
    assert source.parse(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("", "gpt2", "a/b/c", "../b", "a/..", "a/b@", "a/b@..", "a/b@-x", "-a/b", "a/b c"),
        *("a/b\n", "a/\u00e9", "a/" + "x" * 97, "modelscope:", "https://huggingface.co/a"),
    ],
)
def test_odd_names_are_refused(text: str) -> None:
    with pytest.raises(FetchRefused):
        source.parse(text)


def test_two_hubs_contradict_each_other() -> None:
    assert source.parse("a/b", MODELSCOPE).hub == MODELSCOPE
    with pytest.raises(FetchRefused, match="leave out one"):
        source.parse("modelscope:a/b", HUGGING_FACE)
