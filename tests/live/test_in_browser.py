"""The page in a real browser: what it says, that it says it of nothing else, and what it survives."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from browsing import Watched

from rlstir_core.live.publisher import Publisher

pytestmark = pytest.mark.slow
WHO = {"host": "host-a", "episode": "ep-1", "run": "1"}
HOSTILE = (
    *("<script>document.title='owned'</script>", "<img src=x onerror=\"document.title='owned'\">", "</title><h1>x"),
    *("\"><svg/onload=document.title='owned'>", "javascript:alert(1)", "{{7*7}}", "${7*7}", "'; DROP TABLE x;--"),
    *("\u202egnp.exe", "a\x00b\x07c\x1b[31m", "__proto__", "constructor", "toString", "<!--", "]]>", "&lt;b&gt;"),
    *("\u2028\u2029", "../../etc/passwd", "http://evil.example/x.js", "<style>*{display:none}</style>", "%3Cscript%3E"),
    *("<iframe src=//evil.example>", "<a href=javascript:document.title='owned'>x</a>", "\U0001f600" * 40, "A" * 199),
    *(
        "a\u0301" * 90,
        "<base href=//evil.example>",
        "<meta http-equiv=refresh content=0>",
        "<form action=//evil.example>",
    ),
    "x onmouseover=document.title='owned'",
)


@dataclass(kw_only=True)
class Looked:
    """A page, the live view that it looks at, and who publishes there."""

    watched: Watched
    server: Any
    publisher: Publisher

    @property
    def page(self) -> Any:
        return self.watched.page

    def open(self, more: str = "") -> Looked:
        self.page.goto(f"{self.server.url}/#token={self.server.token}{more}")
        self.page.wait_for_selector("#connection[data-state=on]")
        return self

    def told(self, what: str) -> Any:
        return self.page.evaluate(f"rlstirLive.{what}")

    def until(self, expression: str) -> None:
        """Waits until the expression holds in the page, whose policy lets nothing poll from inside."""
        end = time.monotonic() + 60
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, expression
            self.page.wait_for_timeout(20)

    def saw_all(self) -> Looked:
        """Waits until the page has taken in all that was published and drawn it."""
        assert self.publisher.flush(60)
        last = self.server.post()[1]["last"]
        self.until(f"rlstirLive.last === {last}")
        self.page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
        return self


@pytest.fixture
def look(watched: Callable[..., Watched], live_server: Callable[..., Any]) -> Iterator[Callable[..., Looked]]:
    """Opens a live view of the test's own; at the end nobody may have complained or asked another server."""
    seen: list[Looked] = []

    def opened(server: Any = None, **context: Any) -> Looked:
        server = server or live_server()
        found = Looked(watched=watched(**context), server=server, publisher=Publisher(server.url, server.token))
        seen.append(found)
        return found

    yield opened
    for each in seen:
        each.publisher.close(5)
        assert [words for words in each.watched.complaints if "net::ERR_" not in words] == []
        assert [url for url in each.watched.asked if not url.startswith(each.server.url)] == []


def publish(publisher: Publisher) -> None:
    """An episode of a minute that is infected from second 21 on; the chosen model sees it at 35."""
    shown = {"phases": ["clean", "infecting"], "attack_phases": ["infecting"], "onset_phase": "infecting"}
    models = [{"name": "gbt_realistic", "threshold": 0.8, "chosen": True}, {"name": "mlp_realistic", "threshold": 0.99}]
    publisher.publish("episode", {**WHO, **shown, "duration_s": 60.0, "models": models})
    publisher.publish("phase", {**WHO, "t_s": 0, "phase": "clean"})
    publisher.publish("phase", {**WHO, "t_s": 21, "phase": "infecting"})
    for end in range(10, 61, 5):
        for model in models:
            p = 0.85 if end >= 35 else 0.1
            said = {"start_s": end - 10, "end_s": end, "phase": "infecting" if p > 0.5 else "clean", "p_attack": p}
            publisher.publish("prediction", {**WHO, "model": model["name"], **said})
    for at in range(60):
        publisher.publish("telemetry", {**WHO, "t_s": at, "step_s": 0.5, "values": {"proc.x": [at, None]}})
    publisher.publish("episode", {**WHO, "state": "ended", "duration_s": 60.0})


def test_it_says_in_words_when_the_infection_was_detected(look: Callable[..., Looked]) -> None:
    view = look().open()
    publish(view.publisher)
    page = view.saw_all().page
    assert page.inner_text("#answer") == "gbt realistic: detected 14 s after the infection began"
    page.click("#others summary")
    page.wait_for_selector("#sayings li")
    assert page.locator("#sayings li").all_inner_texts() == [
        "gbt realistic: detected 14 s after the infection began",
        "mlp realistic: not detected in the 39 s since the infection began",
    ]
    page.click("#astable summary")
    page.wait_for_selector("#stretches tbody tr")
    rows = [[cell.strip() for cell in row.split("\t")] for row in page.inner_text("#stretches tbody").splitlines()]
    assert rows[:4] == [
        ["truth", "0 s", "21 s", "clean", "–"],
        ["truth", "21 s", "60 s", "infecting", "–"],
        ["gbt realistic", "0 s", "30 s", "clean", "0.100"],
        ["gbt realistic", "30 s", "60 s", "infecting", "0.850"],
    ]


def test_what_is_played_shows_nothing_that_was_not_known_then(look: Callable[..., Looked]) -> None:
    view = look().open()
    publish(view.publisher)
    page = view.saw_all().page
    page.select_option("#speed", "1")
    page.focus("#axis")
    for _ in range(10):
        page.keyboard.press("Home")
        page.keyboard.press("PageUp")
    for _ in range(3):
        page.keyboard.press("PageUp")  # second 24, after the infection and before it is seen
    page.keyboard.press(" ")
    page.keyboard.press(" ")
    view.until("document.getElementById('clock').textContent.includes('paused')")
    assert "not detected in the" in page.inner_text("#answer")
    page.keyboard.press("l")
    view.until("document.getElementById('answer').textContent.includes('detected 14 s')")


def test_keys_and_a_drag_choose_the_time_and_the_address_keeps_it(look: Callable[..., Looked]) -> None:
    view = look().open()
    publish(view.publisher)
    page = view.saw_all().page
    box = page.locator(".truth .plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 9, steps=4)
    page.mouse.up()
    page.focus("#axis")
    page.keyboard.press("Home")
    view.until("(/&t=([^&]+)&from=([^&]+)&/.exec(location.hash) ?? [0, 1, 2]).slice(1).reduce((a, b) => a === b)")
    said = dict(part.split("=") for part in page.evaluate("location.hash.slice(1)").split("&"))
    assert (said["host"], said["episode"]) == ("host-a", "ep-1") and "token" not in said
    assert abs(float(said["from"]) - 15) < 0.5 and abs(float(said["to"]) - 45) < 0.5
    assert float(said["t"]) == pytest.approx(float(said["from"]), abs=0.02)
    assert "truth clean" in page.get_attribute("#axis", "aria-valuetext")
    page.reload()
    view.saw_all()
    view.until("document.getElementById('clock').textContent.startsWith('cursor')")
    assert page.evaluate("location.hash.slice(1)") == "&".join(f"{name}={value}" for name, value in said.items())
    page.keyboard.press("0")
    view.until("!location.hash.includes('from=')")


def test_texts_of_anybody_are_text(look: Callable[..., Looked]) -> None:
    view = look().open()
    elements = view.page.evaluate(
        "document.querySelectorAll('script,iframe,base,meta,img,svg,a,form,style,link').length"
    )
    for name in HOSTILE:
        who = {"host": name, "episode": name, "run": "1"}
        models = [{"name": name, "threshold": 0.5, "threshold_from": name, "chosen": True, "same_as": name}]
        about = {"phases": [name, "x"], "attack_phases": [name], "onset_phase": name, "note": name, "models": models}
        view.publisher.publish("episode", {**who, **about, "channels": [{"name": name, "unit": name[:60]}]})
        view.publisher.publish("telemetry", {**who, "t_s": 0, "step_s": 1, "values": {name: [1, None, 3]}})
        for at, phase in ((0, "x"), (2, name)):
            view.publisher.publish("phase", {**who, "t_s": at, "phase": phase})
        said = {"start_s": 0, "end_s": 3, "phase": name, "p_attack": 0.7, "probabilities": {name: 0.7}}
        view.publisher.publish("prediction", {**who, "model": name, **said})
        view.publisher.publish("embedding", {**who, "model": name, "t_s": 1, "vector": [1, 2]})
        asked = {"query": name, "sentence": name, "entity": name, "rows": [name, name], "techniques": {name: 0.5}}
        view.publisher.publish("investigation_step", {**who, "policy": name, "step": 1, "kind": "query", **asked})
        figure = {"model": name, "metric": name, "value": 0.5, "lo": 0.4, "hi": 0.6, "note": name}
        view.publisher.publish("model_metric", {**figure, "group": "profile", "of": name, "recipe": name[:60]})
        view.publisher.publish("model_metric", {**figure, "step": 1})
        speed = {"model": name, "windows_per_s": 1, "p50_ms": 1, "p95_ms": 1, "n": 1, "device": name[:60]}
        view.publisher.publish("model_perf", speed)
    page = view.saw_all().page
    assert view.publisher.counts.refused == view.publisher.counts.dropped == 0
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    shown = set()
    for option in page.locator("#episode option").all():
        page.select_option("#episode", option.get_attribute("value"))
        shown_now = "JSON.stringify([rlstirLive.shown.host, rlstirLive.shown.name])"
        view.until(f"document.getElementById('episode').value === {shown_now}")
        shown.add(page.inner_text("#answer"))
    assert len(shown) >= 10
    assert page.title() == "RL-STIR live"
    ways = "document.querySelectorAll('script,iframe,base,meta,img,svg,a,form,style,link').length"
    assert page.evaluate(ways) == elements
    assert page.evaluate("/[\\u202e\\u2028\\x00\\x07\\x1b]/.test(document.body.innerText)") is False
    assert page.evaluate("({}).host") is None


def test_a_killed_server_leaves_no_gap_and_no_repeat_on_the_screen(look: Callable[..., Looked]) -> None:
    view = look().open()
    for n in range(900):
        said = {"start_s": n, "end_s": n + 1, "phase": "clean", "p_attack": 0.1}
        view.publisher.publish("prediction", {**WHO, "model": "m", **said}, wait_s=60)
        if n in (300, 600):
            assert view.publisher.flush(60)
            view.server.end(signal.SIGKILL)
            view.server.start()
    view.saw_all()
    assert (view.told("events"), view.told("gaps"), view.told("repeats"), view.told("lost")) == (900, 0, 0, 0)
    windows = "[...rlstirLive.state.episodes.values()][0].models.get('m').windows.map((each) => each.end)"
    assert view.page.evaluate(windows) == list(range(1, 901))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280, 3840])
def test_it_fits_every_screen(look: Callable[..., Looked], width: int, scheme: str) -> None:
    view = look(viewport={"width": width, "height": 900}, color_scheme=scheme).open()
    publish(view.publisher)
    page = view.saw_all().page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for plot in page.locator(".plot").all():
        box = plot.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["width"] > 200 and box["height"] > 15
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert ink == ("rgb(27, 36, 48)" if scheme == "light" else "rgb(238, 241, 244)")


def test_without_a_token_it_shows_nothing_and_asks_for_one(look: Callable[..., Looked]) -> None:
    view = look()
    publish(view.publisher)
    assert view.publisher.flush(30)
    page = view.page
    page.goto(view.server.url)
    page.wait_for_selector("#ask")
    assert not page.is_visible("#watch")
    page.fill("#token", "x")
    page.click("#ask button")
    view.until("document.getElementById('connection').textContent.includes('not that of this live view')")
    view.watched.complaints.clear()  # the browser tells of the 401
    page.fill("#token", view.server.token)
    page.click("#ask button")
    page.wait_for_selector("#watch", state="visible")
    view.saw_all()


def test_the_figures_on_the_screen_are_those_of_the_eval_json(
    look: Callable[..., Looked], driven: Any, invoke: Callable[..., Any], live_server: Callable[..., Any], tmp_path: Any
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for each in driven.data.iterdir():
        (data / each.name).symlink_to(each)
    server = live_server()
    server.end()
    server.folder = data / "live"
    server.start()
    episode = driven.index.of_host("k-gamingcom")[0].episode_id
    for words in (("metrics",), ("profiles",), ("replay", episode, "--speed", "0", "--store", driven.store)):
        assert invoke("live", *words, "--data", data).exit_code == 0
    view = look(server).open()
    page = view.saw_all().page
    shown = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('table[data-group=all] tbody tr')].map((row) =>"
        " [row.dataset.model, [...row.cells[1].querySelectorAll('data')].map((each) => Number(each.value))]))"
    )
    written = sorted(driven.layout.evaluation("host").glob("*_realistic_eval.json"))
    assert written
    for path in written:
        told = json.loads(path.read_text())
        figure = told["metrics"]["macro_f1"]
        assert shown[told["name"]] == [figure[name] for name in ("value", "lo", "hi") if figure[name] is not None]
    scored = json.loads(invoke("score", episode, "--data", driven.data, "--store", driven.store, "--json").stdout)
    (first, *_) = scored["episodes"][0]["models"]
    drawn = page.evaluate(
        "(name) => [...rlstirLive.state.episodes.values()][0].models.get(name).windows.map((each) => each.p)",
        first["name"],
    )
    assert drawn == pytest.approx(first["attack"], abs=1e-12)
