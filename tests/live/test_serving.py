"""The server: nobody loses an event that was accepted, whoever is slow and whenever the process is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.errors import ConfigError
from rlstir_core.live.serving.run import address_of, serve


def test_a_watcher_who_goes_away_goes_on_where_it_was(
    live_server: Callable[..., Any], event: Callable[..., Any]
) -> None:
    server = live_server()
    server.post(*(event(n) for n in range(10)))
    watcher = server.watch()
    seen = [next(watcher) for _ in range(4)]
    watcher.close()
    last = server.post(event(10))[1]["last"]
    seen += server.watch(str(seen[-1][0]), until=last)
    assert [each["data"]["end_s"] for _, each in seen] == [float(n) for n in range(11)]
    numbers = [number for number, _ in seen]
    assert numbers == list(range(numbers[0], last + 1))


def test_a_server_that_is_killed_leaves_no_gap_and_no_repeat_for_who_watches(
    live_server: Callable[..., Any], event: Callable[..., Any]
) -> None:
    server = live_server()
    seen: list[tuple[int, dict[str, Any]]] = []
    for at in range(5):
        last = server.post(*(event(20 * at + n) for n in range(20)))[1]["last"]
        seen += server.watch(str(seen[-1][0]) if seen else "0", until=last if at % 2 else last - 5)
        server.end(signal.SIGKILL)
        server.start()
    seen += server.watch(str(seen[-1][0]), until=last)
    assert [each["id"] for _, each in seen] == [f"test-{n}" for n in range(100)]
    assert [number for number, _ in seen] == list(range(seen[0][0], seen[0][0] + 100))


def test_an_open_page_goes_on_after_a_restart_with_its_token(live_server: Callable[..., Any]) -> None:
    server = live_server()
    url, token = server.url, server.token
    server.end(signal.SIGKILL)
    server.start()
    assert (server.url, server.token) == (url, token)
    assert len(token) == 43


def test_a_token_that_somebody_shortened_is_made_anew(live_server: Callable[..., Any]) -> None:
    server = live_server()
    server.end()
    (server.folder / "address.json").write_text(json.dumps({"url": server.url, "token": "x"}))
    assert len(server.start().token) == 43


def test_only_its_owner_enters_the_folder_with_the_token(live_server: Callable[..., Any]) -> None:
    server = live_server()
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    assert address_of(server.folder).token == server.token


def test_a_watcher_that_reads_nothing_delays_no_producer_and_is_told_what_it_missed(
    live_server: Callable[..., Any], event: Callable[..., Any]
) -> None:
    ring = {"bytes": 400_000, "segment_bytes": 100_000, "memory_bytes": 50_000}
    server = live_server(ring=ring, limits={"burst": 100_000})
    server.post(event(0))
    with socket.create_connection(("127.0.0.1", server.port), 20) as asleep:
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        head = f"GET /events HTTP/1.1\r\nhost: {server.host}\r\nauthorization: Bearer {server.token}\r\n\r\n"
        asleep.sendall(head.encode())
        for at in range(60):
            status, said = server.post(*(event(1 + 500 * at + n, phase="x" * 100) for n in range(500)))
            assert status == 202
        found, end = b"", b"id: %d\n" % said["last"]
        while end not in found[-100_000:]:
            found += asleep.recv(1 << 20)
    assert b"event: lost\n" in found
    lost = json.loads(found.partition(b"event: lost\ndata: ")[2].partition(b"\n")[0])
    after, before = lost["after"], lost["before"]
    assert b"id: %d\n" % after in found and b"id: %d\n" % before in found
    assert b"id: %d\n" % (after + 1) not in found


def test_four_producers_in_batches_lose_nothing_that_was_accepted(
    live_server: Callable[..., Any], event: Callable[..., Any]
) -> None:
    server = live_server(limits={"burst": 100_000})

    def produce(who: int) -> None:
        for at in range(10):
            batch = [{**event(100 * at + n), "source": f"urn:{who}"} for n in range(100)]
            assert server.post(*batch)[0] == 202

    threads = [threading.Thread(target=produce, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [(each["source"], each["id"]) for _, each in server.watch(until=server.post()[1]["last"])]
    assert len(kept) == len(set(kept)) == 4_000
    for who in range(4):
        assert [own for source, own in kept if source == f"urn:{who}"] == [f"test-{n}" for n in range(1_000)]


def test_who_asks_for_now_sees_only_what_comes(live_server: Callable[..., Any], event: Callable[..., Any]) -> None:
    server = live_server()
    last = server.post(event(1))[1]["last"]
    watcher = server.watch("now")
    threading.Timer(0.3, lambda: server.post(event(2))).start()
    assert next(watcher)[0] == last + 1
    watcher.close()


def test_a_time_is_put_in_where_a_producer_says_none(
    live_server: Callable[..., Any], event: Callable[..., Any]
) -> None:
    server = live_server()
    timed = {**event(2), "time": "2020-01-01T00:00:00Z"}
    last = server.post(event(1), timed)[1]["last"]
    first, second = (each["time"] for _, each in server.watch(until=last))
    assert first.endswith("Z") and first > second == "2020-01-01T00:00:00Z"


def test_it_ends_at_once_though_somebody_watches(live_server: Callable[..., Any], event: Callable[..., Any]) -> None:
    server = live_server()
    server.post(event())
    watcher = server.watch()
    next(watcher)
    server.end(signal.SIGTERM)
    assert list(watcher) == []


def test_a_second_live_view_of_a_folder_is_refused_with_the_address_of_the_first(
    live_server: Callable[..., Any],
) -> None:
    server = live_server()
    with pytest.raises(ConfigError, match=f"runs already, at {server.url}; use that one"):
        serve(server.folder, port=0)


def test_a_port_that_is_taken_and_an_address_of_all_are_refused(
    live_server: Callable[..., Any], tmp_path: Path
) -> None:
    server = live_server()
    with pytest.raises(
        ConfigError, match=rf"port {server.port} of 127.0.0.1 cannot be used .*--port {server.port + 1}"
    ):
        serve(tmp_path / "other", port=server.port)
    with pytest.raises(ConfigError, match="every address of this machine; name one"):
        serve(tmp_path / "other", host="0.0.0.0", port=0)


def test_the_server_needs_no_torch_and_no_dagster() -> None:
    import subprocess
    import sys

    heavy = "('torch', 'dagster', 'numpy', 'pyarrow')"
    code = f"import sys, rlstir_core.live.serving.run; print([n for n in {heavy} if n in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert told.stdout.strip() == "[]"
