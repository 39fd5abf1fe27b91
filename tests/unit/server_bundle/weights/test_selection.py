"""Which files of a repository are fetched."""

from __future__ import annotations

import pytest

from server_bundle.errors import FetchRefused
from server_bundle.transfers.origin import RemoteFile
from server_bundle.weights.selection import select


def chosen(*paths: str, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> set[str]:
    found = select([RemoteFile(path, 10) for path in paths], include, exclude)
    return {one.path for one in found.wanted}


def test_one_format_of_weights_is_enough() -> None:
    """The best of them; copies in subfolders and of other libraries stay out."""
    small = ("config.json", "tokenizer.model", "encoding/chat.py", "LICENSE")
    shards = ("a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors")
    index = "model.safetensors.index.json"
    out = ("a.bin", "pytorch_model.bin.index.json", "a-Q4.gguf", "original/x.safetensors")
    others = ("consolidated.safetensors", "pic.png", ".gitattributes", "onnx/model.onnx")
    assert chosen(*small, *shards, index, *out, *others) == {*small, *shards, index}
    assert chosen("config.json", "a.bin", "x.pth") == {"config.json", "a.bin", "x.pth"}


def test_patterns_choose_as_hf_download_does() -> None:
    files = ("config.json", "a.safetensors", "b.gguf", "sub/c.json")
    assert chosen(*files, include=("*.json",)) == {"config.json", "sub/c.json"}
    assert chosen(*files, include=("sub/",)) == {"sub/c.json"}
    assert chosen(*files, exclude=("sub/*",)) == {"config.json", "a.safetensors"}
    with pytest.raises(FetchRefused, match="no file of it matches"):
        chosen(*files, include=("*.x",))


def test_of_several_gguf_models_one_is_chosen() -> None:
    """The parts of one model are one."""
    parts = ("m-Q4-00001-of-00002.gguf", "m-Q4-00002-of-00002.gguf")
    assert chosen(*parts) == set(parts)
    with pytest.raises(FetchRefused, match=r"2 GGUF models.*--include 'm-Q4\*\.gguf'"):
        chosen(*parts, "m-Q8.gguf")
    assert chosen(*parts, "m-Q8.gguf", include=("m-Q4*.gguf",)) == set(parts)
