"""The page in a real Chromium, over a gateway and a scripted server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import browser, standing_still
from support.browser import button, expect
from support.page_site import Site, site

from jobs.processes import identity

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
ANSWER = (
    f"## Result\n\nIt is **forty-two**, says `ask`. {HOSTILE} [here](javascript:alert(1)) Done."
)
TEXT = "Somebody asked a question, and the answer was long. " * 60


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as one:
        yield one


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("page")
    options = ("--answer", ANSWER, "--max-running", "1", "--token-seconds", "0", "--chunk", "256")
    with site(folder, *options) as found:
        yield found


@pytest.fixture
def page(one: Site, chromium: Browser) -> Iterator[Page]:
    """A page of its own, which may complain about nothing."""
    yield from _page(chromium, one.url)


def _page(chromium: Browser, url: str) -> Iterator[Page]:
    found = browser.opened(chromium)
    said = browser.listen(found)
    found.goto(url)
    yield found
    found.context.close()
    assert said.errors == []


def test_the_queue_is_live(one: Site, page: Page) -> None:
    """Rows appear, move and change without a reload, and each keeps its element."""
    expect(page.locator(".link")).to_have_text("live")
    expect(page.locator("#base-url")).to_have_text(f"{one.url}/v1")
    one.server.hold()
    first = one.submit(TEXT, "first question")
    running = page.locator("[data-list=running] .row")
    expect(running).to_contain_text("first question")
    running.evaluate("row => { row.isTheSame = true; }")
    second = one.submit(TEXT, "second question")
    waiting = page.locator("[data-list=queued] .row")
    expect(waiting).to_contain_text("second question")
    expect(waiting).to_contain_text(f"behind {first}")
    one.server.let_go()
    expect(page.locator(f"[data-list=recent] a[href='#/job/{first}'] .state")).to_have_text("done")
    expect(page.locator(f"[data-list=recent] a[href='#/job/{second}'] .state")).to_have_text("done")
    assert page.locator(f"a[href='#/job/{first}']").evaluate("row => row.isTheSame")
    expect(page.locator(".server")).to_contain_text("answers")


def test_files_are_submitted_and_the_answer_streams_in(
    one: Site, page: Page, tmp_path: Path
) -> None:
    """The forecast comes before the submit. What the model writes is text, whatever it is."""
    paths = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for path in paths:
        path.write_text(TEXT)
    page.click("#new")
    page.set_input_files("#files", paths)
    page.select_option("#task", "ask")
    page.fill("#question", "What was asked?")
    expect(page.locator(".forecast-box")).to_contain_text("It fits.")
    expect(page.locator(".forecast-box")).to_contain_text("two.txt")
    one.server.hold()
    button(page, "Submit").click()
    page.locator("[data-list=running] .row", has_text="2 jobs: one.txt").click()
    expect(page.locator(".group h2")).to_have_text("2 jobs: one.txt")
    group = page.url
    expect(page.locator(".members .row")).to_have_count(2)
    page.locator(".members .row", has_text="one.txt").click()
    expect(page.locator(".job .question")).to_have_text("What was asked?")
    answer = page.locator(".answer")
    while not answer.is_visible():
        one.server.step()
        page.wait_for_timeout(50)
    expect(answer).not_to_contain_text("Done.")
    expect(page.locator(".job .state").first).to_have_text("running")
    one.server.let_go()
    expect(answer).to_contain_text("Done.")
    expect(answer.locator("strong")).to_have_text("forty-two")
    expect(answer.locator("h4")).to_have_text("Result")
    expect(answer).to_contain_text(HOSTILE)
    assert answer.locator("img, script, a").count() == 0
    assert page.title() == "ktjob"
    with page.expect_download() as download:
        page.click("text=Download answer")
    assert Path(download.value.path()).read_text() == ANSWER
    page.goto(group)
    expect(page.locator(".tally")).to_have_text("2 of 2 done")
    with page.expect_download() as download:
        page.click("text=Download all answers")
    both = Path(download.value.path()).read_text()
    assert both.count("It is **forty-two**") == 2
    assert both.index("## one.txt: What was asked?") < both.index("## two.txt: What was asked?")


def test_a_file_is_dropped_anywhere(page: Page) -> None:
    """A name is text too."""
    name = f"{HOSTILE.replace('/', '')}.txt"
    data = page.evaluate_handle(
        """([name, text]) => {
            const data = new DataTransfer();
            data.items.add(new File([text], name, { type: "text/plain" }));
            return data;
        }""",
        [name, TEXT],
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": data})
    expect(page.locator("#drop")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(page.locator("#drop")).to_be_hidden()
    expect(page.locator(".files .name")).to_have_text(name)
    expect(page.locator(".forecast-box")).to_contain_text("It fits.")
    button(page, "Submit").click()
    expect(page.locator(".job h2")).to_have_text(name)
    expect(page.locator(".answer")).to_contain_text("Done.")
    assert page.locator("img").count() == 0
    assert page.title() == "ktjob"


def test_a_job_is_cancelled_retried_and_deleted(one: Site, page: Page) -> None:
    """Each by its button, where its state allows it."""
    one.server.hold()
    job = one.submit(TEXT, "to be cancelled")
    page.goto(f"{one.url}/#/job/{job}")
    expect(page.locator("[data-list=running] .row[aria-current]")).to_be_visible()
    assert button(page, "Delete").count() == 0
    button(page, "Cancel").click()
    expect(page.locator(".job .state").first).to_have_text("cancelled")
    one.server.let_go()
    button(page, "Retry").click()
    expect(page.locator(".answer")).to_contain_text("Done.")
    assert page.url != f"{one.url}/#/job/{job}"
    again = page.url.rpartition("/")[2]
    button(page, "Delete").click()
    button(page, "Delete for good?").click()
    expect(page.locator(".welcome")).to_be_visible()
    expect(page.locator(f"a[href='#/job/{again}']")).to_have_count(0)


def test_a_waiting_job_is_held_edited_and_run_again(one: Site, page: Page) -> None:
    """What waits is changed with its buttons, until it runs; what ended is run with another
    question."""
    one.server.hold()
    try:
        one.submit(TEXT, "it is in front")
        expect(page.locator("[data-list=running] .row")).to_contain_text("it is in front")
        job = one.submit(TEXT, "a question with a tpyo")
        page.goto(f"{one.url}/#/job/{job}")
        button(page, "Hold").click()
        row = page.locator(f"a[href='#/job/{job}'].row")
        expect(row).to_contain_text("held")
        expect(page.locator(".blocked")).to_contain_text("held since")
        button(page, "Release").click()
        expect(row).not_to_contain_text("held")
        button(page, "Edit").click()
        question = page.get_by_label("Question", exact=True)
        expect(question).to_be_focused()
        expect(question).to_have_value("a question with a tpyo")
        question.fill("a question without a typo")
        page.get_by_label("Maximum answer tokens").fill("77")
        button(page, "Save").click()
        expect(page.locator(".job .question")).to_have_text("a question without a typo")
        expect(page.locator(".job .meta")).to_contain_text("up to 77 answer tokens")
        button(page, "Run last").click()
        expect(page.locator(".job .meta")).to_contain_text("priority -1000")
        button(page, "Run first").click()
        expect(page.locator(".job .meta")).to_contain_text("priority 1")
    finally:
        one.server.let_go()
    expect(page.locator(".answer")).to_contain_text("Done.")
    button(page, "Run again …").click()
    page.get_by_label("Question", exact=True).fill("another one")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".job .question")).to_have_text("another one")
    expect(page.locator(".answer")).to_contain_text("Done.")
    assert not page.url.endswith(job)


def test_the_queue_is_paused_searched_selected_and_exported(one: Site, page: Page) -> None:
    """And the servers are listed, as on the command line."""
    button(page, "Pause the queue").click()
    expect(page.locator("#paused")).to_contain_text("the queue is paused since")
    job = one.submit(f"{TEXT} A word in the text only: serendipity.", "it waits for a resume")
    row = page.locator(f"a[href='#/job/{job}'].row")
    expect(row).to_contain_text("paused")
    page.locator("#paused").get_by_role("button", name="Resume").click()
    expect(page.locator("#paused")).to_be_hidden()
    expect(row.locator(".state")).to_have_text("done")
    page.fill("#words", "serendipity")
    page.keyboard.press("Enter")
    expect(page.locator("#found-count")).to_have_text("0 jobs found")
    page.get_by_label("in documents").check()
    expect(page.locator("#found-count")).to_have_text("1 job found")
    expect(row.locator(".where")).to_contain_text("in the document")
    button(page, "Select").click()
    page.get_by_role("checkbox", name="Select report.txt").check()
    page.locator("#picked summary").click()
    with page.expect_download() as download:
        page.locator("#picked").get_by_role("link", name="HTML").click()
    exported = Path(download.value.path()).read_text()
    assert "it waits for a resume" in exported and "serendipity" not in exported
    page.goto(f"{one.url}/#/servers")
    place = one.server.url.partition("://")[2]
    expect(page.locator(".places tbody tr").first).to_contain_text(place)
    button(page, "Select").click()
    page.fill("#words", "")
    expect(page.locator("[data-list=recent] .row").first).to_be_visible()


def test_all_of_it_by_keyboard(one: Site, page: Page) -> None:
    """From the skip link to an answer, to another question, and back to the list."""
    expect(page.locator(".link")).to_have_text("live")
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("n")
    expect(page.locator(".new h2")).to_be_focused()
    page.locator("#text").focus()
    page.keyboard.type("A short text about boats.")
    page.keyboard.press("Tab")
    expect(page.locator("#task")).to_be_focused()
    assert page.locator("#task").evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    page.keyboard.press("Control+Enter")
    expect(page.locator(".job h2")).to_be_focused()
    expect(page.locator(".answer")).to_contain_text("Done.")
    before = page.url
    page.locator(".follow textarea").focus()
    page.keyboard.type("And by keyboard?")
    page.keyboard.press("Enter")
    expect(page.locator(".job .question")).to_have_text("And by keyboard?")
    expect(page.locator(".answer")).to_contain_text("Done.")
    assert page.url != before
    page.keyboard.press("Escape")
    expect(page.locator(".row:focus")).to_contain_text("And by keyboard?")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".row:focus")).not_to_contain_text("And by keyboard?")


def test_what_is_wrong_is_said_in_words(page: Page) -> None:
    """Before anything is sent, and by the gateway."""
    page.goto(f"{page.url.partition('#')[0]}#/new")
    button(page, "Submit").click()
    expect(page.locator(".new .error")).to_have_text("Drop a file or paste a text first.")
    page.set_input_files(
        "#files", {"name": "nothing.txt", "mimeType": "text/plain", "buffer": b" "}
    )
    expect(page.locator(".forecast-box")).to_contain_text("nothing.txt is empty")


def test_what_holds_up_the_queue_is_named(one: Site, page: Page) -> None:
    """A stopped runner, with the command that resumes it; and no longer when it runs again."""
    one.server.hold()
    one.submit(TEXT, "it runs")
    expect(page.locator("[data-list=running] .row")).to_contain_text("it runs")
    waiting = one.submit(TEXT, "it waits")
    runner = identity.holder(one.state.runner_lock)
    assert runner is not None
    standing_still.stop(one.state, runner)
    try:
        expect(page.locator("#notice")).to_contain_text(f"kill -CONT {runner.pid}")
    finally:
        os.kill(runner.pid, signal.SIGCONT)
        one.server.let_go()
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator(f"[data-list=recent] a[href='#/job/{waiting}']")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(one: Site, chromium: Browser, scheme: str) -> None:
    """Nothing has to be moved sideways, at 390 pixels."""
    job = one.submit(TEXT, "a-question-without-a-blank-" * 12, "a-name-without-a-blank-" * 8)
    found = browser.opened(chromium, 390, 844)
    said = browser.listen(found)
    found.emulate_media(color_scheme=scheme)
    for place, seen in (
        ("", ".row"),
        ("#/new", ".new"),
        ("#/servers", ".places td"),
        (f"#/job/{job}", ".answer"),
    ):
        found.goto(f"{one.url}/{place}")
        expect(found.locator(seen).first).to_be_visible()
        width = found.evaluate("document.documentElement.scrollWidth")
        assert width == 390, place
    found.context.close()
    assert said.errors == []
