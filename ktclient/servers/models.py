"""The models that a server lists, and which of them is for chats.

A server of several lists models for embeddings, reranking, speech and pictures among them, in any
order, each time another (Go's maps). What it says of a model counts (`type`, `mode`, `task`,
`capabilities` and the like), and where it says nothing, the model's name. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_LONGEST_NAME = 4096
"""Characters of a model's name, which may be the path of its folder."""
MOST_NAMED = 100
"""Names that are remembered of one server, to be told."""

_KINDS = ("type", "mode", "model_type", "kind", "task", "tasks", "pipeline_tag", "purpose")
"""Fields for what a model is for: LM Studio's and Copilot's `type`, LiteLLM's `mode`, the
`pipeline_tag` of Hugging Face; a word, or a list of them."""
_ABILITIES = ("capabilities", "supported_tasks", "supported_endpoint_types", "endpoints")
"""Ollama's and LM Studio's list, Mistral's table of yes and no, the paths of gateways."""
_NESTED = ("model_info", "info", "meta", "metadata", "details", "capabilities", "architecture")
_CHAT = re.compile(
    r"chat|completion|llm|vlm|text-generation|text2text|generate|generative|multimodal|responses"
    r"|messages"
)
_CHAT_WITH_MORE = ("image-text-to-text", "audio-text-to-text", "video-text-to-text", "any-to-any")
_OTHER = re.compile(
    r"embed|rerank|rank|whisper|speech|audio|transcri|stt|tts|asr|image|video|moderation|"
    r"classif|score|reward|feature-extraction|similarity|pooling|diffusion|ocr-only|detection"
)
_OTHER_ABILITY = re.compile(
    r"embed|rerank|similarity|score|classif|transcri|moderation|image.generation|text.to.speech"
)
"""Fewer than of kinds: to see pictures and to hear is also an ability of a model for chats."""
_ANY = "[a-z0-9]*"
_OTHER_NAME = re.compile(
    rf"(?:^|[^a-z0-9])(?:{_ANY}embed(?:d{_ANY}|s|\d+)?|rerank{_ANY}|ranker|whisper{_ANY}|tts{_ANY}"
    rf"|stt|asr|bge{_ANY}|e5|gte|minilm|colbert{_ANY}|clip|siglip{_ANY}|moderation|dall|diffusion"
    rf"|sdxl{_ANY}|flux{_ANY}|parakeet|kokoro|piper|musicgen|{_ANY}guard|image|speech|transcribe"
    r"|transcription|paraphrase|reward)(?![a-z0-9])"
)
"""Words of names of models that write no text, or only verdicts on it."""
_POOLS = re.compile(r"^--?(?:embeddings?|rerank(?:ing)?|pooling)$")
"""Options of llama-server, which its router lists."""


@dataclass(frozen=True)
class Listed:
    """One model of a server's list. `is_chat`: None if nothing says it."""

    name: str
    entry: Mapping[str, object]
    is_chat: bool | None
    is_loaded: bool | None
    is_adapter: bool

    @property
    def is_other_by_name(self) -> bool:
        """Whether its name alone says that it writes no text."""
        return self.is_chat is None and bool(_OTHER_NAME.search(self.name.lower()))


def listed(data: object) -> list[Listed]:
    """The models of a list, each name once. What has no name that can be stored is left out."""
    found: dict[str, Listed] = {}
    for entry in data if isinstance(data, list) else []:
        name = _name(entry.get("id")) if isinstance(entry, dict) else None
        if name is not None and name not in found:
            is_adapter = bool(entry.get("parent"))  # vLLM's LoRA adapters
            found[name] = Listed(name, entry, _is_chat(entry), _is_loaded(entry), is_adapter)
    return list(found.values())


def for_chats(all_of_it: Sequence[Listed]) -> list[Listed]:
    """Those that may be for chats, the best first: loaded before others, a model before its
    adapters, then in the server's order. A name alone rules a model out only where another is
    left."""
    possible = [one for one in all_of_it if one.is_chat is not False]
    likely = [one for one in possible if not one.is_other_by_name] or possible
    return sorted(likely, key=lambda one: (one.is_loaded is not True, one.is_adapter))


def _name(found: object) -> str | None:
    """The model's name as text that can be sent and stored; None if there is none."""
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        return None
    name = str(found).encode("utf-8", "replace").decode()
    return name if name.strip() and len(name) <= _LONGEST_NAME else None


def _is_chat(entry: Mapping[str, object]) -> bool | None:
    if any(_POOLS.match(option) for option in _options(entry)):
        return False
    kinds = [word for place in _places(entry) for word in _words(place, _KINDS)]
    kinds += [word for place in _places(entry) for word in _known_otherwise(place)]
    abilities = [word for place in _places(entry) for word in _words(place, _ABILITIES)]
    if any(_says_chat(word) for word in (*kinds, *abilities)):
        return True
    is_other = any(map(_OTHER.search, kinds)) or any(map(_OTHER_ABILITY.search, abilities))
    denied = any(place.get("completion_chat") is False for place in _places(entry))
    return False if is_other or denied else None


def _says_chat(word: str) -> bool:
    return word in _CHAT_WITH_MORE or bool(_CHAT.search(word) and not _OTHER.search(word))


def _places(entry: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """The entry, and the tables in it that describe the model."""
    yield entry
    for name in _NESTED:
        inner = entry.get(name)
        if isinstance(inner, dict):
            yield inner


def _words(place: Mapping[str, object], names: Sequence[str]) -> Iterator[str]:
    """The words of these fields: a text, a list of them, or a table of yes and no."""
    for name in names:
        found = place.get(name)
        if isinstance(found, dict):
            yield from (str(key).lower() for key, is_so in found.items() if is_so is True)
        else:
            many = found if isinstance(found, list) else [found]
            yield from (one.lower() for one in many if isinstance(one, str))


def _known_otherwise(place: Mapping[str, object]) -> Iterator[str]:
    """OpenRouter says what a model writes; Ollama and LM Studio its family: that of BERT embeds."""
    writes = place.get("output_modalities")
    if isinstance(writes, list):
        yield "chat" if "text" in writes else "image"
    families = (place.get("family"), place.get("arch"))
    if any(isinstance(one, str) and "bert" in one.lower() for one in families):
        yield "embedding"


def _options(entry: Mapping[str, object]) -> list[str]:
    """The command line of llama-server's router."""
    status = entry.get("status")
    args = status.get("args") if isinstance(status, dict) else None
    return [one for one in args if isinstance(one, str)] if isinstance(args, list) else []


def _is_loaded(entry: Mapping[str, object]) -> bool | None:
    status = entry.get("status", entry.get("state"))
    said = status.get("value") if isinstance(status, dict) else status
    if isinstance(said, str):
        return said.lower() in ("loaded", "ready", "running") or None
    found = entry.get("loaded", entry.get("is_loaded"))
    return found if isinstance(found, bool) else None
