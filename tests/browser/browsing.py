"""A real browser for tests: Debian's chromium, driven by Playwright; what it complained of and whom it asked is kept.

`tests/conftest.py` makes the two fixtures known to every test; where Playwright or a chromium is missing, whoever asks
for them is skipped with a reason. A picture is kept where RLSTIR_SCREENSHOTS names a folder, else under the test's own
temporary folder. What does not belong here: servers, and what a page should show.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
WITHIN = ("127.0.0.1", "localhost", "[::1]")
COMPLAINING = ("error", "warning")
OF_THE_PAGE_ITSELF = ("data", "blob", "about", "chrome-error")  # schemes that ask nobody


@dataclass(kw_only=True)
class Watched:
    """A page; errors and warnings by their kind, and dialogs; failed requests; all requests."""

    page: Any
    shots: Path
    complaints: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        on = self.page.on
        on("console", lambda it: self.complaints.append(f"{it.type}: {it.text}") if it.type in COMPLAINING else None)
        on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        on("request", lambda request: self.asked.append(request.url))
        on("websocket", lambda socket: self.asked.append(socket.url))
        on("requestfailed", lambda request: self.failed.append(f"{request.url}: {request.failure}"))
        on("response", lambda got: self.failed.append(f"{got.url}: {got.status}") if got.status >= 400 else None)

    @property
    def outside(self) -> list[str]:
        """What was asked of anybody but this machine."""
        return [url for url in self.asked if not _stays(url)]

    def shot(self, name: str) -> Path:
        """A picture of what is to be seen now."""
        path = self.shots / f"{name}.png"
        self.page.screenshot(path=path)
        return path


def _stays(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in OF_THE_PAGE_ITSELF or parts.netloc.rpartition("@")[2].rpartition(":")[0] in WITHIN


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, without a window. Of a module: while it runs, nothing else in the process can use asyncio."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser, and is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no chromium is installed")
    with driver.sync_playwright() as playwright:
        rootless = os.geteuid() != 0  # chromium refuses to be root in a sandbox
        browser = playwright.chromium.launch(executable_path=path, args=[] if rootless else ["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def watched(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Opens an empty page in a context of its own, with Playwright's options; nobody outside may ever be asked."""
    shots = Path(os.environ.get("RLSTIR_SCREENSHOTS") or tmp_path / "screenshots").absolute()
    shots.mkdir(parents=True, exist_ok=True)
    seen: list[Watched] = []

    def opened(**context: Any) -> Watched:
        options = {"viewport": {"width": 1280, "height": 900}, **context}
        seen.append(Watched(page=chromium.new_context(**options).new_page(), shots=shots))
        return seen[-1]

    yield opened
    for each in seen:
        each.page.context.close()
        assert each.outside == []
