"""A live view in a process of its own, and plain sockets to speak to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_RUN = """
import json, sys
from pathlib import Path
from rlstir_core.live.serving.limits import LiveLimits
from rlstir_core.live.serving.ring import RingLimits
from rlstir_core.live.serving.run import serve
told = json.loads(sys.argv[1])
serve(Path(told["folder"]), port=told["port"], limits=LiveLimits(**told["limits"]),
      ring_limits=RingLimits(**told["ring"]), ready=lambda address: print(address.url, address.token, flush=True))
"""


@dataclass(kw_only=True)
class LiveServer:
    """One live view; `kill` and `start` it as often as a test needs: it comes back at the same address."""

    folder: Path
    limits: dict[str, Any] = field(default_factory=dict)
    ring: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    token: str = ""
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> LiveServer:
        told = {"folder": str(self.folder), "port": self.port, "limits": self.limits, "ring": self.ring}
        words = [sys.executable, "-c", _RUN, json.dumps(told)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ})
        assert self.process.stdout is not None
        said = self.process.stdout.readline().split()
        assert len(said) == 2, "the live view did not start"
        self.port, self.token = int(said[0].rpartition(":")[2]), said[1]
        return self

    def end(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer; headers replace those that a good client sends, an empty one leaves it out."""
        sent = {"host": self.host, "authorization": f"Bearer {self.token}"}
        if body is not None:
            sent["content-type"] = "application/json"
        sent = {**sent, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if body is not None and "content-length" not in sent:
                connection.putheader("content-length", str(len(body)))
            for name, value in sent.items():
                if value:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] == b"{" else text
        finally:
            connection.close()

    def post(self, *events: dict[str, Any]) -> tuple[int, Any]:
        return self.ask("POST", "/events", json.dumps(events).encode())

    def raw(self, head: bytes, timeout_s: float = 20.0) -> bytes:
        """The bytes that come back for these bytes, until the other side closes or says nothing more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout_s) as connection:
            connection.sendall(head)
            found = b""
            while part := connection.recv(65536):
                found += part
                head, _, body = found.partition(b"\r\n\r\n")
                told = re.search(rb"content-length: (\d+)", head)
                if told and len(body) >= int(told[1]):
                    break
            return found

    def watch(self, after: str = "0", until: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number and content of each event that a watcher is sent, up to number `until`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(
                "GET", "/events", headers={"Authorization": f"Bearer {self.token}", "Last-Event-ID": after}
            )
            answer = connection.getresponse()
            assert answer.status == 200
            number, lost, end = 0, False, time.monotonic() + 60
            while line := answer.readline():
                assert time.monotonic() < end, f"event {until} never came"
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "id":
                    number = int(value)
                elif name == "event":
                    lost = value == "lost"
                elif name == "data":
                    yield (0 if lost else number), json.loads(value)
                    if not lost and number == until:
                        return
                    lost = False
        finally:
            connection.close()


def event(n: int = 1, **data: Any) -> dict[str, Any]:
    """A good event, which `data` changes."""
    said = {
        "host": "h",
        "episode": "e",
        "model": "m",
        "start_s": 0,
        "end_s": float(n),
        "phase": "clean",
        "p_attack": 0.5,
    }
    return {
        "specversion": "1.0",
        "id": f"test-{n}",
        "source": "urn:test",
        "type": "io.rlstir.prediction.v1",
        "data": {**said, **data},
    }


@pytest.fixture(name="event", scope="session")
def _event() -> Callable[..., dict[str, Any]]:
    return event


@pytest.fixture
def live_server(tmp_path: Path) -> Iterator[Callable[..., LiveServer]]:
    """Starts a live view of the test's own."""
    started: list[LiveServer] = []

    def start(**more: Any) -> LiveServer:
        started.append(LiveServer(folder=tmp_path / f"live-{len(started)}", **more))
        return started[-1].start()

    yield start
    for each in started:
        each.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A live view that the tests of a module share, with little patience."""
    limits = {"head_s": 0.5, "body_s": 0.5}
    server = LiveServer(folder=tmp_path_factory.mktemp("live") / "live", limits=limits).start()
    yield server
    server.end(signal.SIGKILL)
