"""A page that is open outlives `kill -9` of its gateway, and shows what went on meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import browser
from support.browser import expect
from support.gateway import gateway
from support.page_site import Site, site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

WORDS = " ".join(f"word{number}" for number in range(60))
ANSWER = f"# Long\n\n{WORDS}"


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with browser.chromium() as one:
        yield one


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Site]:
    options = ("--answer", ANSWER, "--token-seconds", "0", "--prefill-seconds", "0")
    with site(tmp_path / "site", *options) as found:
        yield found


def test_a_page_comes_back_after_kill_9_of_the_gateway(one: Site, chromium: Browser) -> None:
    """It says that the gateway is away, connects again by itself, and has each word once."""
    page = browser.opened(chromium)
    said = browser.listen(page)
    one.server.hold()
    job = one.submit("A text. " * 100, "what is it?")
    page.goto(f"{one.url}/#/job/{job}")
    answer = page.locator(".answer")
    while "word3" not in (answer.text_content() or ""):  # so its first block is complete
        one.server.step()
        page.wait_for_timeout(50)
    answer.locator("h3").evaluate("one => { one.isTheSame = true; }")
    one.serving.kill()
    expect(page.locator("#notice")).to_contain_text("The gateway does not answer")
    expect(page.locator(".link")).to_have_text("away")
    one.server.let_go()
    rest = {name: one.environment[name] for name in ("KTJOB_CONFIG", "KTJOB_CACHE")}
    with gateway(one.state, one.server.url, port=one.serving.port, **rest):
        expect(page.locator(".link")).to_have_text("live")
        expect(answer).to_have_text(f"Long{WORDS}")
        expect(page.locator(".job .state").first).to_have_text("done")
        expect(page.locator("#notice")).to_be_hidden()
        # What it had already was not drawn again: the browser said how far it was.
        assert answer.locator("h3").evaluate("one => one.isTheSame === true")
    assert said.errors == []
