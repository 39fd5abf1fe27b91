"""Which of the models that a server lists is for chats."""

from __future__ import annotations

import random

import pytest

from ktclient.servers import models

CHAT: list[dict[str, object]] = [
    {"id": "m"},
    {"id": "m", "type": "llm"},
    {"id": "m", "type": "vlm", "state": "not-loaded"},
    {"id": "m", "object": "model", "type": "model"},
    {"id": "m", "mode": "chat"},
    {"id": "m", "model_info": {"mode": "responses"}},
    {"id": "m", "task": "generate"},
    {"id": "m", "tasks": ["embed", "generate"]},
    {"id": "m", "pipeline_tag": "image-text-to-text"},
    {"id": "m", "capabilities": ["completion", "tools", "vision"]},
    {"id": "m", "capabilities": ["tool_use"]},
    {"id": "m", "capabilities": ["vision", "audio", "image_input"]},
    {"id": "m", "capabilities": {"images": True, "speech": True}},
    {"id": "m", "capabilities": {"completion_chat": True, "fine_tuning": False}},
    {"id": "m", "capabilities": {"type": "chat", "family": "gpt"}},
    {"id": "m", "architecture": {"modality": "text->text", "output_modalities": ["text"]}},
    {"id": "m", "supported_endpoint_types": ["openai", "anthropic"]},
    {"id": "m", "details": {"family": "qwen2"}},
    {"id": "m", "status": {"value": "loaded", "args": ["llama-server", "--ctx-size", "4096"]}},
    # what it says counts more than its name
    {"id": "bge-chat-7b", "type": "llm"},
]

OTHER: list[dict[str, object]] = [
    {"id": "m", "type": "embeddings"},
    {"id": "m", "type": "embedding"},
    {"id": "m", "type": "rerank"},
    {"id": "m", "type": "stt"},
    {"id": "m", "type": "image"},
    {"id": "m", "mode": "embedding"},
    {"id": "m", "mode": "audio_transcription"},
    {"id": "m", "mode": "image_generation"},
    {"id": "m", "model_info": {"mode": "rerank"}},
    {"id": "m", "model_type": "text-embedding"},
    {"id": "m", "task": "embed"},
    {"id": "m", "task": "score"},
    {"id": "m", "pipeline_tag": "feature-extraction"},
    {"id": "m", "pipeline_tag": "sentence-similarity"},
    {"id": "m", "pipeline_tag": "text-ranking"},
    {"id": "m", "pipeline_tag": "automatic-speech-recognition"},
    {"id": "m", "capabilities": ["embedding"]},
    {"id": "m", "capabilities": {"completion_chat": False, "audio": True}},
    {"id": "m", "capabilities": {"type": "embeddings"}},
    {"id": "m", "capabilities": {"embeddings": True}},
    {"id": "m", "architecture": {"output_modalities": ["image"]}},
    {"id": "m", "supported_endpoint_types": ["embeddings"]},
    {"id": "m", "endpoints": ["/v1/embeddings"]},
    {"id": "m", "arch": "nomic-bert"},
    {"id": "m", "details": {"family": "bert"}},
    {"id": "m", "status": {"value": "unloaded", "args": ["llama-server", "--embeddings"]}},
]

OTHER_NAMES = [
    *("text-embedding-nomic-embed-text-v1.5", "nomic-embed-text:latest", "Qwen3-Embedding-8B"),
    *("embeddinggemma-300m", "BAAI/bge-m3", "bge-reranker-v2-m3", "intfloat/multilingual-e5-large"),
    *("NV-Embed-v2", "all-minilm", "Qwen/Qwen3-Reranker-4B", "jina-embeddings-v3", "gte-large"),
    *("whisper-1", "faster-whisper-large-v3", "distil-whisper/distil-large-v3", "tts-1-hd"),
    *("omni-moderation-latest", "dall-e-3", "stable-diffusion-3", "kokoro", "colbert-v2"),
    *("text-embedding-3-small", "nomic-ai/CodeRankEmbed", "embed-english-v3.0", "Llama-Guard-3-8B"),
    *("gpt-image-1", "mxbai-embed-large:335m", "snowflake-arctic-embed2", "flux.1-dev"),
]

CHAT_NAMES = [
    *("DeepSeek-V4-Flash", "/models/Qwen3-235B.gguf", "gpt-oss-20b", "kimi-k2", "llama3:8b"),
    *("GLM-4.5-Air", "mistral-small", "o3", "gemma-3-27b-it", "clippy-7b", "embers-13b-chat"),
]


@pytest.mark.parametrize("entry", CHAT, ids=str)
def test_a_model_for_chats_is_one_for_all_that_is_said_of_it(entry: dict[str, object]) -> None:
    """LM Studio, vLLM, Ollama, LiteLLM, Mistral, OpenRouter, llama.cpp, gateways."""
    assert [one.name for one in models.for_chats(models.listed([entry]))] == [entry["id"]]


@pytest.mark.parametrize("entry", OTHER, ids=str)
def test_what_is_said_to_be_for_something_else_is_never_chosen(entry: dict[str, object]) -> None:
    """Not even where nothing else is left."""
    assert models.for_chats(models.listed([entry])) == []


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_name_rules_a_model_out_where_another_is_left(name: str) -> None:
    """In any order. Alone it is taken: it is only a name."""
    for entries in ([{"id": name}, {"id": "m"}], [{"id": "m"}, {"id": name}]):
        assert [one.name for one in models.for_chats(models.listed(entries))] == ["m"]
    assert [one.name for one in models.for_chats(models.listed([{"id": name}]))] == [name]


@pytest.mark.parametrize("name", CHAT_NAMES)
def test_ordinary_names_rule_nothing_out(name: str) -> None:
    """Nor do words that only begin alike."""
    assert not models.listed([{"id": name}])[0].is_other_by_name


@pytest.mark.parametrize(
    "data",
    [None, 5, "m", {}, [None], ["m"], [{}], [{"id": None}], [{"id": ""}], [{"id": " "}],
     [{"id": True}], [{"id": ["m"]}], [{"id": {"a": 1}}], [{"id": "m" * 5000}]],
    ids=lambda data: str(data)[:20],
)  # fmt: skip
def test_what_has_no_name_is_no_model(data: object) -> None:
    """null was once sent as the model "None"."""
    assert models.listed(data) == []


def test_each_name_is_listed_once_and_numbers_are_names() -> None:
    """Gateways list a model once for each machine behind them."""
    entries = [{"id": "a"}, {"id": None}, {"id": "b"}, {"id": "a"}, {"id": 7}]
    assert [one.name for one in models.listed(entries)] == ["a", "b", "7"]


def test_a_loaded_model_is_before_one_that_would_have_to_be_loaded() -> None:
    """And a model before its adapters, whatever the order of the list."""
    entries: list[dict[str, object]] = [
        {"id": "adapter", "parent": "base"},
        {"id": "base", "parent": None},
        {"id": "sleeps", "state": "not-loaded"},
        {"id": "awake", "status": {"value": "loaded"}},
        {"id": "embeds", "state": "loaded", "type": "embeddings"},
    ]
    for _ in range(20):
        random.shuffle(entries)
        found = [one.name for one in models.for_chats(models.listed(entries))]
        assert found[0] == "awake" and found[-1] == "adapter" and "embeds" not in found
