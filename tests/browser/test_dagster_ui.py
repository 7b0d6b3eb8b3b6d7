"""The Dagster UI as a person uses it: looked at and clicked in a real browser, over the small driven store."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from browsing import Watched

from rlstir_core.episodes.store.binding import refresh_index

pytestmark = pytest.mark.slow
HOST = "k-gamingcom"
SLOW_MS = 120_000  # of what starts a process, on a machine that has other work
INK = """(picture) => picture.decode().then(() => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 300, height: 150});
  const pen = canvas.getContext('2d');
  pen.drawImage(picture, 0, 0);
  return pen.getImageData(0, 0, 300, 150).data.filter((value, at) => at % 4 === 3 && value > 0).length; })"""


@contextmanager
def opened_ui(command: list[str], env: dict[str, str], cwd: Path) -> Iterator[str]:
    """The address of a `rlstir ui` in a process group of its own, all of which is gone afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (cwd / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)], cwd=cwd, env=env, stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + SLOW_MS / 1000
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{url}/server_info", timeout=5):
                break
            assert process.poll() is None and time.monotonic() < end, (cwd / "ui.log").read_text()
            time.sleep(0.2)
        yield url
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):  # the second for whoever of the group outlives the first
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, how)
                process.wait(20)


def graph_is_seen(view: Watched, url: str) -> None:
    from rlstir_assets.definitions import defs

    specs = defs.resolve_all_asset_specs()
    drawn = view.page.locator("svg foreignObject")
    before = view.page.viewport_size
    view.page.set_viewport_size({"width": 1600, "height": 2800})  # only what is in the window is drawn
    view.page.goto(f"{url}/asset-groups")
    for group in sorted({str(spec.group_name) for spec in specs}):
        drawn.filter(has_text=re.compile(f"^{group}$")).first.wait_for()
    view.page.keyboard.press("Alt+e")  # expands all groups
    for name in (spec.key.path[-1] for spec in specs):
        # the page leaves out the middle of long names
        cut = rf"{name[:4]}\w*…\w*{name[-6:]}|" if len(name) > 18 else ""
        drawn.filter(has_text=re.compile(f"^({cut}{name})$")).first.wait_for()
    view.shot("graph")
    view.page.set_viewport_size(before)


def report_is_read(view: Watched, url: str, evaluation: Path) -> None:
    page = view.page
    page.goto(f"{url}/assets/comparison_v2")

    def told(key: str) -> str:
        row = page.locator("tr", has=page.locator("td").first.filter(has_text=re.compile(f"^{key}$")))
        return str(row.locator("td").last.inner_text()).strip()

    picture = page.locator("img[src^='data:image/svg+xml,%3Csvg']")
    picture.wait_for()
    assert picture.evaluate(INK) > 1_000  # pixels; an empty picture has a size, too
    score = json.loads((evaluation / f"{told('chosen')}_eval.json").read_text())["metrics"]["macro_f1"]["value"]
    assert told("macro_f1") == str(round(score, 4)) and f"{score:.3f}" in told("answer")
    picture.scroll_into_view_if_needed()
    view.shot("report")


def is_switched_on(view: Watched, url: str, name: str) -> None:
    page = view.page
    page.goto(f"{url}/automation")
    row = page.locator(f"xpath=//a[.//text()='{name}' or text()='{name}']/ancestor::div[count(.//input)=2][1]")
    with page.expect_response(lambda answer: "op=Start" in answer.url):  # the switch moves before it was heard
        row.locator("label").last.click()
    page.reload()
    row.locator("input:checked").wait_for(state="attached")
    view.shot(name)


def sensor_ticks(view: Watched, url: str) -> None:
    page = view.page
    page.goto(f"{url}/automation")
    page.get_by_text("new_episodes", exact=True).click()
    page.get_by_text("0 runs requested", exact=True).first.wait_for()
    page.locator("table").last.get_by_text("0 runs requested").last.click()
    page.get_by_text("Skip reason: no new episodes").wait_for()
    view.shot("tick")


def host_is_validated(view: Watched, url: str) -> None:
    page = view.page
    page.goto(f"{url}/assets/validation")
    page.get_by_role("button", name="Materialize…").click()
    page.get_by_text("Select a partition or create one").click()
    page.get_by_text(HOST, exact=True).locator("visible=true").last.click()
    page.keyboard.press("Escape")
    view.shot("partition")
    page.get_by_role("button", name="Launch 1 run").click()
    page.get_by_text("View", exact=True).click()
    page.get_by_text("Success", exact=True).wait_for()
    page.get_by_text(f"partition: {HOST}").wait_for()
    view.shot("run")


def test_graph_report_automation_and_a_run_of_one_host_are_a_click_away(
    watched: Callable[..., Watched],
    own_driven: Any,
    tool: Callable[[str], str],
    environment: Callable[..., dict[str, str]],
    instance_of: Callable[..., Any],
) -> None:
    import dagster as dg

    def runs_of_validation() -> list[str]:
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey("validation"), asset_partitions=[HOST])
        with instance_of(own_driven.home) as instance:
            return [each.run_id for each in instance.fetch_materializations(wanted, limit=9).records]

    refresh_index(own_driven.store, own_driven.layout)  # a copy of the store has another stamp
    before = runs_of_validation()
    command = [tool("rlstir"), "ui", "--store", str(own_driven.store), "--data", str(own_driven.data)]
    env = environment(own_driven.home, RLSTIR_LOOK_EVERY_S="5")
    view = watched(viewport={"width": 1400, "height": 900})
    view.page.set_default_timeout(SLOW_MS)
    with opened_ui(command, env, own_driven.root) as url:
        graph_is_seen(view, url)
        report_is_read(view, url, own_driven.layout.evaluation("host"))
        for name in ("nightly_reevaluation", "new_episodes"):
            is_switched_on(view, url, name)
        sensor_ticks(view, url)
        host_is_validated(view, url)
    assert len(runs_of_validation()) == len(before) + 1
    assert [words for words in view.complaints if words.startswith("error")] == []  # Dagster warns itself of its own
    assert [words for words in view.failed if not words.endswith("net::ERR_ABORTED")] == []  # a page that was left
