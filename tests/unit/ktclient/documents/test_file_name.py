"""A name where words were meant, and words where a name would be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktclient.documents import file_name
from ktclient.errors import BadInput
from ktclient.prompts import tasks
from ktclient.prompts.instructions import Instructions, resolve

NAMES = (
    *("report.txt", " report.txt\n", "my report.pdf", "报告.docx", "notes.d/today", "a.tar.gz"),
    *("./report", "../report", "/srv/reports/march", "~/report", "C:\\reports\\march", "x.7z"),
    *("notes/march", "reports\\march", "data.JSONL", "https://example.org/a.html", "file:///a/b"),
)
TEXTS = (
    *("text", "A long text.", "What? Why!", "3.14", "石头记第一回。", "e.g. this, and that etc."),
    *(
        "The file report.txt\nhas two lines.",
        "x" * 2_000 + ".txt",
        "and / or",
        "",
        "  ",
        "He said no.",
    ),
    *("Version 2.0 of it", "1/2 of it was read", "The end...", "Call me Ishmael.\n", "C: drive"),
)


@pytest.mark.parametrize("given", NAMES)
def test_a_string_that_looks_like_a_name_is_refused_with_both_ways_to_say_it(given: str) -> None:
    with pytest.raises(BadInput) as refused:
        file_name.source(given, None)
    name = given.strip()
    assert f"pathlib.Path({name!r})" in str(refused.value)
    assert f"text={name!r}" in str(refused.value)
    assert file_name.source(None, given) == given, "as text= it is what it says"
    assert file_name.source(Path(given), None) == Path(given)


@pytest.mark.parametrize("given", TEXTS)
def test_words_are_words(given: str) -> None:
    assert file_name.source(given, None) == given


def test_a_file_or_folder_that_exists_is_known_by_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_name.source("report", None) == "report"
    Path("report").touch()
    Path("reports of march").mkdir()
    for name in ("report", "report\n", "reports of march"):
        with pytest.raises(BadInput, match="is the name of a file"):
            file_name.source(name, None)


def test_one_of_both_and_of_the_right_kind() -> None:
    with pytest.raises(BadInput, match="not both"):
        file_name.source("words", "words")
    with pytest.raises(BadInput, match="no document"):
        file_name.source(None, None)
    with pytest.raises(BadInput, match="not bytes"):
        file_name.source(None, b"words")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["questions.txt", "./ask/first.md", "Prompt.TOML", " q.json\n"])
def test_a_question_that_names_a_file_is_refused_wherever_it_is_asked(
    name: str, tmp_path: Path
) -> None:
    for options in (
        Instructions(ask=[name]),
        Instructions(ask=["Who?", name]),
        Instructions(prompt=name),
        Instructions(system=name),
    ):
        with pytest.raises(BadInput, match=r"\$\(cat .*read_text"):
            resolve(options, tmp_path / "config.toml")
    with pytest.raises(BadInput, match="looks like the name of a file"):
        tasks.task(False, name, None)  # `ktjob ask ID` and `Job.ask`


@pytest.mark.parametrize(
    "words",
    ["What is in questions.txt?", "请解释config.yaml", "/no_think", "and/or", "Who?", "N/A"],
)
def test_a_question_about_a_file_is_a_question(words: str) -> None:
    assert tasks.task(False, words, None).text == words
