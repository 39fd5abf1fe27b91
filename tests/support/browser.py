"""A real Chromium, Debian's, driven by Playwright, which brings no browser of its own here.

with chromium() as browser:
    page = opened(browser)
    page.goto(url)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.patience import HANG_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, LocatorAssertions, Page

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
"""As root, and without a word to the world outside."""


def missing() -> str | None:
    """What this machine lacks, or None."""
    return None if shutil.which("chromium") else "there is no chromium (apt-get install chromium)"


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser; it ends with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        try:
            yield browser
        finally:
            browser.close()


def expect(found: Locator) -> LocatorAssertions:
    """Playwright's assertions, which wait as long as all tests here."""
    from playwright.sync_api import expect as patient

    patient.set_options(timeout=HANG_SECONDS * 1000)
    return patient(found)


def button(page: Page, name: str) -> Locator:
    """The visible button with exactly these words."""
    return page.get_by_role("button", name=name, exact=True)


@dataclass
class Complaints:
    """What a page complained about: errors of its scripts, and of its content security policy."""

    errors: list[str] = field(default_factory=list)


def opened(browser: Browser, width: int = 1440, height: int = 900) -> Page:
    """An empty page of its own, with no cookie of another one, that waits patiently."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    context.set_default_timeout(HANG_SECONDS * 1000)
    return context.new_page()


def listen(page: Page) -> Complaints:
    """Collect what the page complains about from now on. A status that is an error is none."""
    found = Complaints()

    def hear(said: ConsoleMessage) -> None:
        if said.type == "error" and not said.text.startswith("Failed to load resource"):
            found.errors.append(said.text)

    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("console", hear)
    return found
