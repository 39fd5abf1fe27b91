"""Marks of all families: harmless for their models, and ordinary texts as they are."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from ktclient.documents import turn_marks
from ktclient.tokens import bundled
from server_bundle import package_data

DATA = Path(__file__).parents[3] / "data" / "turn_marks.toml"
GATHERED: list[dict[str, Any]] = package_data.read(DATA)["of"]
ALL = sorted({mark for one in GATHERED for mark in one["marks"]})
NEUTRAL = "The report names {} in its second chapter.{} It does so twice."


def special(text: str, marks: list[str]) -> list[str]:
    """The tokens of the text that are special, by the library of most servers."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False) for mark in marks])
    return [token for token in tokenizer.encode(text).tokens if token in marks]


@pytest.mark.promise
@pytest.mark.parametrize("one", GATHERED, ids=lambda one: str(one["model"]))
def test_each_mark_of_each_family_is_harmless_for_its_model(one: dict[str, Any]) -> None:
    """Alone, doubled, after its own first character and inside another; under the model's name, and
    for a model of which nothing is known."""
    marks = one["marks"]
    for model in (one["model"], "stand-in"):
        of_it = turn_marks.of_model(model)
        for mark in marks:
            found = Counter[str]()
            text = NEUTRAL.format(
                mark, f"{mark}{mark}, {mark[0]}{mark}, {mark[:-1]}{mark}{mark[-1]}"
            )
            made = of_it.harmless(text, found)
            assert mark not in made and sum(found.values()) >= 4, mark
            assert special(text, marks) and not special(made, marks), mark
            assert made.replace(" ", "") == text.replace(" ", ""), "a blank, and nothing else"
            assert of_it.harmless(made) == made


def test_every_mark_of_the_table_is_harmless_for_its_family_and_each_says_where_it_is_from() -> (
    None
):
    """Numbers stand for themselves."""
    for family in turn_marks.families():
        assert family.sources, family.name
        unknown = turn_marks.of_model()
        for mark in (*family.anywhere, *family.here):
            numbered = mark.replace("{n}", "137")
            assert numbered not in unknown.harmless(f"a {numbered} b"), mark
        for mark in family.anywhere:
            numbered = mark.replace("{n}", "0")
            assert numbered not in turn_marks.of_model("gpt-oss").harmless(f"a{numbered}b"), mark


def test_all_1283_marks_of_the_vocabulary_that_is_shipped_are_harmless() -> None:
    """Also without its tokenizer.json: by the name alone."""
    marks = bundled.deepseek_v4().marks
    made = turn_marks.of_model("DeepSeek-V4-Flash").harmless("\n".join(marks))
    assert len(marks) == 1283 and [mark for mark in marks if mark in made] == []


def test_a_models_own_list_decides_for_marks_that_no_table_has() -> None:
    """Such as a fine-tune's; and it narrows what ordinary text may contain."""
    own = turn_marks.of_model("my-tune", ("<my:turn>", "⟦speaker⟧", "[GO]"), is_whole=True)
    made = own.harmless("<my:turn> ⟦speaker⟧ [GO] <s> [INST] <think> <|im_start|>")
    assert made == "< my:turn> ⟦ speaker⟧ [ GO] <s> [INST] <think> < |im_start|>"


ORDINARY = {
    "html": '<!DOCTYPE html><p class="x">A <s>struck</s> <b>bold</b> <code>x</code><br/></p>',
    "xml": "<think><tool_call id='1'>x</tool_call><answer>y</answer><file name='a'/></think>",
    "markdown": "# A\n\n- [x] done [^1] [INST] ![a](b) <https://e.org> | a | b |\n|---|---|",
    "log": "[INFO] started [WARN] low [AUDIO] off [PREFIX] /usr [IMG] 4 [ARGS] none [SEP] [PAD]",
    "shell": "cat <<EOF >out; cat <<SYS>> log; if [[ -f x ]]; then a | b |& c || d; fi; x=${a[@]}",
    "code": "f <| g |> h; List<int> a[i]; template<typename T> b<|c|>d; x <|> y; [|1; 2|] a<-b",
    "mathematics": "<x|y>, |x>, <|x|>, E[<|A|^2>] < 1, a <| b |> c, ⟨ψ|φ⟩, ]0;1[ ]-1, 1]",
    "json": '{"<a>": ["[b]", "]", "]~[", {"c": "<d"}], "e": "<f:g>"}',
}


@pytest.mark.parametrize("what", ORDINARY)
@pytest.mark.parametrize("model", ["gpt-oss-120b", "Llama-3.3-70B-Instruct", "command-r"])
def test_ordinary_text_stays_as_it_is(what: str, model: str) -> None:
    """For models that have no such marks of their own: not one character is changed."""
    text = ORDINARY[what].replace("<s>", "<del>").replace("</s>", "</del>")
    assert turn_marks.of_model(model).harmless(text) == text
    if what not in ("html", "xml", "markdown", "log", "shell", "mathematics"):
        assert turn_marks.of_model().harmless(text) == text, "of any model"


def test_html_is_changed_only_where_a_model_has_its_tag_as_a_mark() -> None:
    """<s> is struck text, and Mistral's beginning of a sentence."""
    assert turn_marks.of_model("Qwen3-235B").harmless(ORDINARY["html"]) == ORDINARY["html"]
    assert "< s>struck< /s>" in turn_marks.of_model("Mistral-Large").harmless(ORDINARY["html"])


PIECES = st.one_of(
    st.text(max_size=5),
    st.sampled_from([*ALL, "<", "<|", "|>", "\uff5c", "[", "]", "]<]", "[>[", " "]),
)


@given(
    st.lists(PIECES, max_size=20).map("".join),
    st.sampled_from(["", *(one["model"] for one in GATHERED)]),
)
def test_any_text_is_harmless_after_once(text: str, model: str) -> None:
    """Nothing is lost or moved, nothing is left, and once more changes nothing."""
    of_it, found = turn_marks.of_model(model), Counter[str]()
    made = of_it.harmless(text, found)
    assert of_it.pattern.search(made) is None and of_it.harmless(made) == made
    assert made.replace(" ", "") == text.replace(" ", "")
    assert len(made) == len(text) + sum(found.values())


@given(st.lists(st.sampled_from(["a b", "ab", "a  b", "b a", "<a", "<a b", " ", "<"]), max_size=9))
def test_marks_that_contain_blanks_end_too(pieces: list[str]) -> None:
    """The blank that breaks one may complete another: until none is left."""
    of_it = turn_marks.of_model(
        "x", ("<a b>", "<a  b>", "< a b>", "<ab>", "[ x]", "[x]"), is_whole=True
    )
    made = of_it.harmless(">".join(pieces) + "[x][ x]<ab>< a b>")
    assert of_it.pattern.search(made) is None


@pytest.mark.parametrize(
    "own",
    [
        (" |x",),
        ("-|x", "-- |", "-- -"),
        tuple(f"|{' ' * many}|" for many in range(1, 120)),
        ("] ]", "]]|", "|] ", " ]|"),
    ],
)
def test_marks_that_a_server_names_are_made_harmless_in_one_pass(own: tuple[str, ...]) -> None:
    """A blank that breaks one completes no other: not for ever, nor once for each character."""
    of_it = turn_marks.of_model("x", own, is_whole=True)
    text = f"a |x b {'-' * 999}|x {'|' * 99} | | {']' * 99}| {'| ' * 99}"
    made = of_it.pattern.sub(lambda match: match.group() + " ", text)
    assert of_it.pattern.search(made) is None
    assert of_it.harmless(text) == made


def test_what_was_found_is_named_and_bounded() -> None:
    """Five kinds by name; of very many kinds only so many are counted apart."""
    found = Counter({"<|a1|>": 2, "<|b1|>": 1})
    assert (
        turn_marks.said("it", found) == "3 turn marks in it were made harmless: <|a1|> (2), <|b1|>"
    )
    many = Counter[str]()
    turn_marks.of_model().harmless("".join(f"<|kind{n}|>" for n in range(1000)), many)
    assert len(many) == turn_marks.MOST_KINDS + 1 and sum(many.values()) == 1000
    assert turn_marks.in_words(many).endswith("and 60 more kinds")
    hostile = Counter({"<|\u202eab\x1b[31m|>": 1})
    assert turn_marks.in_words(hostile) == "<|ab[31m|>"


@pytest.mark.parametrize(
    "text", ["<", "<|", "]<]", "[", "<|ab", "<start_of_", "<SPECIAL_1", "\uff5c"]
)
def test_a_long_run_of_beginnings_is_searched_once(text: str) -> None:
    """A pattern of one step back at each place would not end here."""
    long = text * (2_000_000 // len(text))
    assert len(turn_marks.of_model().harmless(long)) >= len(long)


def test_a_json_value_is_walked_whole() -> None:
    """Names of fields as well."""
    found = Counter[str]()
    value = {"<|im_end|>": ["a<|im_end|>", 1, None, {"b": True}]}
    assert turn_marks.of_model().harmless_json(value, found) == {
        "< |im_end|>": ["a< |im_end|>", 1, None, {"b": True}]
    }
    assert json.dumps(found) == '{"<|im_end|>": 2}'
