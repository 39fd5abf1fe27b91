"""Makes the pictures of the page in this folder, in Debian's chromium, over a real small run.

    python docs/screenshots/make_page.py [FOLDER]

The server is the tests' double; the gateway, the jobs and the page are the product's own.
"""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support import browser  # noqa: E402 - found through the line above
from support.page_site import Site, site  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

ANSWER = """## What matters

The report makes **three** points:

1. Loading takes minutes, so the checks come first.
2. A request of 600,000 tokens is *silent* for 25 minutes, and is not lost.
3. `kill -9` of any process costs at most one more prefill.

| part | tokens/s |
|---|---|
| first 100K | 590 |
| at 600K | 320 |

> What was accepted is kept until it is deleted.

The rest describes how each of these was measured, on which machine, and with which limits. """
SERVER = ("--rate", "5900:3200@600000", "--noise", "0.05", "--token-seconds", "0.06")


def picture(page: Page, folder: Path, name: str, width: int, height: int, scheme: str) -> None:
    """One picture as WebP, of this size and colour scheme."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(400)
    session = page.context.new_cdp_session(page)
    shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": 82})
    (folder / f"{name}.webp").write_bytes(base64.b64decode(shot["data"]))


def make(one: Site, page: Page, folder: Path) -> None:
    """All pictures, in the order in which the run shows them."""
    text = (ROOT / "examples/report.txt").read_text(encoding="utf-8")
    page.goto(one.url)
    for title, question, times in (
        ("minutes.txt", "Who decided what?", 1),
        ("annual-report.txt", "What are the three points that matter most?", 14),
        ("annual-report.txt", "Which risks does it name?", 14),
        ("war-and-peace.txt", "Who is at the ball, and who dances with whom?", 20),
    ):
        one.submit(text * times, question, title)
        page.wait_for_selector(f"text={question}")
    running = page.locator("[data-list=running] .row", has_text="three points")
    running.click()
    page.wait_for_selector(".prefill:not([hidden])")
    page.wait_for_selector(".job progress[value]")
    page.wait_for_timeout(5000)
    picture(page, folder, "page-prefill", 1280, 800, "light")
    page.wait_for_selector(".answer table")
    page.wait_for_timeout(1500)
    picture(page, folder, "page-answer", 1280, 800, "dark")
    picture(page, folder, "page-phone", 390, 844, "light")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{one.url}/#/new")
    file = {"name": "contract.txt", "mimeType": "text/plain", "buffer": (text * 9).encode()}
    page.set_input_files("#files", [file])  # type: ignore[list-item]
    page.select_option("#task", "ask")
    page.fill("#question", "Which notice periods does it set?")
    page.wait_for_selector(".verdict")
    picture(page, folder, "page-new", 1280, 800, "light")


def main(folder: Path) -> None:
    answer = ANSWER + "It ends with what is left to do. " * 30
    with (
        tempfile.TemporaryDirectory(prefix="ktjob-page-") as scratch,
        site(Path(scratch), *SERVER, "--answer", answer, "--max-running", "1") as one,
        browser.chromium() as chromium,
    ):
        make(one, browser.opened(chromium), folder)


if __name__ == "__main__":
    for name in [name for name in os.environ if name.startswith("KTJOB_")]:
        del os.environ[name]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
