"""The page where the gateway has keys: the login, and that a key sees its own jobs only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from support import browser
from support.browser import button, expect
from support.page_site import Site, site

from jobs.store.http.store import HttpStore
from ktclient.gateway.access import keys

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

TEXT = "A text about boats and the sea. " * 20


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as one:
        yield one


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("keys"), "--token-seconds", "0") as found:
        yield found


def _key(one: Site, name: str, *, is_admin: bool = False) -> str:
    key = keys.make()
    with HttpStore.open(one.state) as store:
        store.add_api_key(
            keys.make_id(), name, keys.hash_of(key), is_admin=is_admin, expires_at=None
        )
    return key


def test_a_key_logs_in_and_sees_its_own_jobs(one: Site, chromium: Browser) -> None:
    """A page that is open when the first key is made asks for one too. A wrong one is refused in
    words; an admin's sees everybody's; after the logout, nothing is there."""
    foreign = one.submit(TEXT, "a question of the command line", "other.txt")
    page = browser.opened(chromium)
    said = browser.listen(page)
    page.goto(one.url)
    expect(page.locator(".row")).to_have_count(1)
    ada, admin = _key(one, "ada"), _key(one, "admin", is_admin=True)
    expect(page.locator("#key")).to_be_focused()
    page.keyboard.type("sk-ktjob-wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#login-error")).to_have_text("This key is not valid, or has expired.")
    page.fill("#key", ada)
    page.keyboard.press("Enter")
    expect(page.locator(".link")).to_have_text("live")
    expect(page.locator(".welcome h2")).to_have_text("No jobs yet")
    assert "HttpOnly" not in page.evaluate("document.cookie")
    assert page.evaluate("document.cookie") == ""
    page.click("#new")
    page.fill("#text", TEXT)
    button(page, "Submit").click()
    expect(page.locator(".answer")).to_be_visible()
    mine = page.url.rpartition("/")[2]
    expect(page.locator(".row")).to_have_count(1)
    page.goto(f"{one.url}/#/job/{foreign}")
    expect(page.locator(".job h2")).to_have_text("There is no such job")
    button(page, "Log out").click()
    expect(page.locator("#key")).to_be_visible()
    expect(page.locator(".row")).to_have_count(0)
    page.fill("#key", admin)
    page.keyboard.press("Enter")
    for job in (mine, foreign):
        expect(page.locator(f"a[href='#/job/{job}'].row")).to_be_visible()
    assert said.errors == []
