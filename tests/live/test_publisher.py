"""The publisher: it never waits longer than it says, loses nothing silently, and needs nothing but Python."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rlstir_core.live.publisher
from rlstir_core.live.publisher import Publisher

DATA = {"host": "h", "episode": "e", "t_s": 1.0, "phase": "clean"}


def nobody() -> str:
    """The address of a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def numbered(n: int) -> dict[str, Any]:
    return {**DATA, "t_s": float(n)}


def test_what_is_published_is_kept_in_its_order(live_server: Callable[..., Any]) -> None:
    server = live_server()
    with Publisher(server.url, server.token, source="urn:me") as publisher:
        assert all(publisher.publish("phase", numbered(n), subject="h/e") for n in range(2_000))
        assert publisher.flush(30)
        counts = publisher.counts
    assert (counts.sent, counts.waiting, counts.dropped, counts.refused) == (2_000, 0, 0, 0)
    last = server.post()[1]["last"]
    kept = [event for _, event in server.watch(until=last)]
    assert [event["data"]["t_s"] for event in kept] == [float(n) for n in range(2_000)]
    assert {(event["source"], event["subject"], event["type"]) for event in kept} == {
        ("urn:me", "h/e", "io.rlstir.phase.v1")
    }


def test_it_is_found_by_the_data_folder(live_server: Callable[..., Any], tmp_path: Path) -> None:
    server = live_server()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "live").symlink_to(server.folder)
    with Publisher.of(tmp_path / "data") as publisher:
        assert publisher.publish("phase", DATA) and publisher.flush(20)
        assert publisher.counts.sent == 1
    with pytest.raises(FileNotFoundError):
        Publisher.of(tmp_path)


def test_nobody_listening_costs_a_caller_nothing_and_every_loss_is_counted() -> None:
    publisher = Publisher(nobody(), "t", room=10)
    taken = [publisher.publish("phase", numbered(n)) for n in range(1_000)]
    assert taken == [True] * 10 + [False] * 990
    since = time.monotonic()
    assert not publisher.publish("phase", DATA, wait_s=0.2)
    waited = time.monotonic() - since
    assert 0.2 <= waited < 10  # the upper bound only tells waiting from waiting for ever
    counts = publisher.close(0.1)
    assert counts.sent == 0 and counts.dropped == 1_001 and "refused" in counts.error.lower()


def test_a_caller_who_waits_goes_on_as_soon_as_there_is_room(live_server: Callable[..., Any]) -> None:
    server = live_server()
    with Publisher(server.url, server.token, room=5) as publisher:
        assert all(publisher.publish("phase", numbered(n), wait_s=60) for n in range(500))
        assert publisher.flush(30) and publisher.counts.sent == 500


def test_what_is_no_json_is_counted_and_never_raised() -> None:
    publisher = Publisher(nobody(), "t")
    loop: dict[str, Any] = {}
    loop["self"] = loop
    for data in ({"p": float("nan")}, {"p": object()}, {"p": {1, 2}}, loop, {"p": "x" * 70_000}):
        assert not publisher.publish("prediction", data)
    assert publisher.close(0).dropped == 5


def test_a_bad_event_does_not_take_its_neighbours_with_it(live_server: Callable[..., Any]) -> None:
    server = live_server()
    with Publisher(server.url, server.token, linger_s=0.3) as publisher:
        for n in range(20):
            publisher.publish("phase", {**DATA, **({"colour": "red"} if n == 7 else {})})
        assert publisher.flush(30)
        counts = publisher.counts
    assert (counts.sent, counts.refused) == (19, 1) and "colour" in counts.error


def test_a_wrong_token_is_told_not_retried(live_server: Callable[..., Any]) -> None:
    server = live_server()
    publisher = Publisher(server.url, "wrong")
    publisher.publish("phase", DATA)
    assert publisher.flush(20)
    counts = publisher.close()
    assert counts.refused == 1 and counts.error.startswith("401")


def test_the_rate_of_the_server_slows_it_and_loses_nothing(live_server: Callable[..., Any]) -> None:
    server = live_server(limits={"events_per_s": 400.0, "burst": 600})
    with Publisher(server.url, server.token) as publisher:
        for n in range(1_000):
            publisher.publish("phase", numbered(n))
        assert publisher.flush(60)
        assert publisher.counts.sent == 1_000
    assert len(list(server.watch(until=server.post()[1]["last"]))) == 1_000


def test_a_server_that_is_killed_and_comes_back_has_every_event_once(live_server: Callable[..., Any]) -> None:
    server = live_server()
    publisher = Publisher(server.url, server.token)
    for at in range(3):
        for n in range(300):
            publisher.publish("phase", numbered(at * 300 + n), wait_s=30)
            if n == 150:
                server.end(signal.SIGKILL)
                server.start()
    assert publisher.flush(60)
    assert publisher.close().sent == 900
    kept = [event["data"]["t_s"] for _, event in server.watch(until=server.post()[1]["last"])]
    assert kept == [float(n) for n in range(900)]


def test_an_answer_that_was_lost_keeps_no_event_twice(
    live_server: Callable[..., Any], event: Callable[..., Any]
) -> None:
    server = live_server()
    assert server.post(event(1), event(2))[1]["accepted"] == 2
    assert server.post(event(2), event(3), event(3))[1] == {**server.post()[1], "accepted": 1, "known": 2}
    server.end(signal.SIGKILL)
    server.start()
    assert server.post(event(1), event(4))[1]["accepted"] == 1
    kept = [each["id"] for _, each in server.watch(until=server.post()[1]["last"])]
    assert kept == ["test-1", "test-2", "test-3", "test-4"]


def test_threads_may_publish_at_once(live_server: Callable[..., Any]) -> None:
    server = live_server()
    with Publisher(server.url, server.token) as publisher:
        threads = [
            threading.Thread(target=lambda: [publisher.publish("phase", DATA, wait_s=30) for _ in range(200)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert publisher.flush(30) and publisher.counts.sent == 800
    ids = [event["id"] for _, event in server.watch(until=server.post()[1]["last"])]
    assert len(set(ids)) == 800


def test_an_address_that_is_none_is_told() -> None:
    for url in ("https://127.0.0.1:1", "file:///etc", "127.0.0.1:8718"):
        with pytest.raises(ValueError, match="is not the address of a live view"):
            Publisher(url, "t")


def test_it_needs_the_standard_library_alone(tmp_path: Path) -> None:
    """Its file works on its own, and importing it with the package brings in nothing else either."""
    shutil.copy(rlstir_core.live.publisher.__file__, tmp_path / "publisher.py")
    alone = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, sys.argv[1]); import publisher", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    code = (
        "import json, sys; before = set(sys.modules); import rlstir_core.live.publisher;"
        "print(json.dumps(sorted({n.partition('.')[0] for n in set(sys.modules) - before})))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in json.loads(told.stdout) if name not in sys.stdlib_module_names} == {"rlstir_core"}
