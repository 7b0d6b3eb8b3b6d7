"""What a live view refuses: forty requests and more, each with one sentence, and none of them keeps an event."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

GOOD = json.dumps([{"specversion": "1.0", "id": "x", "source": "s", "type": "io.rlstir.phase.v1",
                    "data": {"host": "h", "episode": "e", "t_s": 0, "phase": "clean"}}]).encode()  # fmt: skip


def one(**changes: Any) -> bytes:
    """A body with one event that is changed; a field that becomes None is left out."""
    (event,) = json.loads(GOOD)
    data = event["data"] | {name[5:]: value for name, value in changes.items() if name.startswith("data_")}
    event |= {name: value for name, value in changes.items() if not name.startswith("data_")}
    event["data"] = changes.get("data", data)
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


BODIES = {
    "no JSON": (b"{", 400, "JSON|contract"),
    "an empty body": (b"", 400, "contract"),
    "a number": (b"7", 400, "contract"),
    "an unfinished array": (b"[" + GOOD[1:-1], 400, "JSON"),
    "something after the end": (GOOD + b"]", 400, "JSON"),
    "no UTF-8": (b'[{"specversion": "\xff"}]', 400, "contract|JSON"),
    "not a number": (GOOD.replace(b'"t_s": 0', b'"t_s": NaN'), 400, "JSON"),
    "infinity": (GOOD.replace(b'"t_s": 0', b'"t_s": 1e999'), 400, "event 0"),
    "a depth of ten thousand": (b"[" * 10_000, 400, "JSON"),
    "a deep value in an event": (b'[{"data":' + b"[" * 9_000 + b"]" * 9_000 + b"}]", 400, ""),
    "another version of CloudEvents": (one(specversion="0.3"), 400, "specversion"),
    "no id": (one(id=None), 400, "id"),
    "an id of 200 letters": (one(id="x" * 200), 400, "id"),
    "no source": (one(source=None), 400, "source"),
    "no type": (one(type=None), 400, "type"),
    "an unknown type": (one(type="io.rlstir.shell.v1"), 400, "type"),
    "a time in words": (one(time="<script>now</script>"), 400, "time"),
    "no data": (one(data=None), 400, "data"),
    "data of another type": (one(type="io.rlstir.prediction.v1"), 400, "data"),
    "a field that nobody knows": (one(data_colour="red"), 400, "colour"),
    "a negative second": (one(data_t_s=-1), 400, "t_s"),
    "a name of 300 letters": (one(data_host="h" * 300), 400, "host"),
    "a text for a number": (one(data_t_s="0"), 400, "t_s"),
    "one bad event among good ones": (b"[" + GOOD[1:-1] + b"," + one(data_t_s=None) + b"]", 400, "event 1"),
    "an event over its size": (one(data_phase="x" * 70_000), 413, "at most 65536"),
    "too many events": (b"[" + b",".join([GOOD[1:-1]] * 1_001) + b"]", 413, "at most 1000"),
    "a body over its size": (b" " * (2**20 + 1), 413, "at most 1048576"),
}  # fmt: skip
HEADERS: dict[str, tuple[dict[str, str], int, str]] = {
    "no token": ({"authorization": ""}, 401, "token"),
    "an empty token": ({"authorization": "Bearer "}, 401, "token"),
    "a wrong token": ({"authorization": "Bearer " + "x" * 43}, 401, "token"),
    "another scheme": ({"authorization": "Basic eDp5"}, 401, "token"),
    "another Host": ({"host": "evil.example"}, 421, "Host"),
    "a name that was rebound to this machine": ({"host": "127.0.0.1.evil.example:{port}"}, 421, "Host"),
    "this machine at another port": ({"host": "127.0.0.1:1"}, 421, "Host"),
    "this machine at no port": ({"host": "127.0.0.1"}, 421, "Host"),
    "an empty Host": ({"host": " "}, 421, "Host"),
    "another Origin": ({"origin": "http://evil.example"}, 403, "origin"),
    "an Origin of nowhere": ({"origin": "null"}, 403, "origin"),
    "another port of this machine as Origin": ({"origin": "http://127.0.0.1:1"}, 403, "origin"),
    "https as Origin": ({"origin": "https://127.0.0.1:{port}"}, 403, "origin"),
    "a cross-site request": ({"sec-fetch-site": "cross-site"}, 403, "other sites"),
    "a request of a neighbouring port": ({"sec-fetch-site": "same-site"}, 403, "other sites"),
    "a form": ({"content-type": "application/x-www-form-urlencoded"}, 415, "JSON"),
    "plain text, which needs no leave of a browser": ({"content-type": "text/plain"}, 415, "JSON"),
    "no Content-Type": ({"content-type": ""}, 415, "JSON"),
    "a length that is a lie": ({"content-length": "99999999999"}, 413, "at most"),
}
PATHS = (
    *("/../../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/address.json", "/ring", "/address.json"),
    "//evil.example",
    *("/page/index.html", "/index.html", "/main.js/", "/main.js%00", "/./main.js", "\\main.js".join(("/", ""))),
    *("/events/", "/EVENTS", "/docs", "/openapi.json"),
)  # fmt: skip


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_is_refused_in_a_sentence(one_server: Any, case: str) -> None:
    body, status, words = BODIES[case]
    found, said = one_server.ask("POST", "/events", body)
    assert found == status, said
    assert any(word in said["error"] for word in words.split("|"))
    assert said["error"].isascii() and len(said["error"]) < 400


@pytest.mark.parametrize("case", HEADERS)
def test_a_request_that_nobody_should_send_is_refused(one_server: Any, case: str) -> None:
    headers, status, words = HEADERS[case]
    own = {name: value.format(port=one_server.port) for name, value in headers.items()}
    found, said = one_server.ask("POST", "/events", GOOD, **own)
    assert (found, words in said["error"]) == (status, True), said


@pytest.mark.parametrize("path", PATHS)
def test_nothing_but_the_page_can_be_asked_for(one_server: Any, path: str) -> None:
    own = f"host: {one_server.host}\r\nauthorization: Bearer {one_server.token}\r\nconnection: close"
    said = one_server.raw(f"GET {path} HTTP/1.1\r\n{own}\r\n\r\n".encode())
    assert said.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), said[:100]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
@pytest.mark.parametrize("path", ["/events", "/main.js"])
def test_other_methods_are_refused(one_server: Any, method: str, path: str) -> None:
    status, _ = one_server.ask(method, path)
    assert status == (200 if (method, path) == ("HEAD", "/main.js") else 405)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /events HTTP/1.1\r\nhost: {host}\r\nhost: evil.example\r\n\r\n",
        b"GET /events HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nauthorization: Bearer x\r\n\r\n",
        b"GET http://evil.example/events HTTP/1.1\r\nhost: evil.example\r\n\r\n",
        b"GET /events HTTP/1.1\r\n\r\n",
        b"GET /events HTTP/1.0\r\nauthorization: Bearer {token}\r\n\r\n",
        b"POST /events HTTP/1.1\r\nhost: {host}\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /events HTTP/1.1\r\nhost: {host}\r\nx: " + b"y" * 40_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",
        b"GET /events\r\n\r\n",
        b"NONSENSE\x00\r\n\r\n",
    ],
)
def test_a_malformed_request_is_refused(one_server: Any, head: bytes) -> None:
    own = head.replace(b"{host}", one_server.host.encode()).replace(b"{token}", one_server.token.encode())
    said = one_server.raw(own)
    assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401", b"HTTP/1.1 421", b"HTTP/1.1 404")), said[:100]


@pytest.mark.parametrize("place", ["-1", "1e3", "x", "9" * 40, "٣"])
def test_a_place_that_is_no_number_is_refused(one_server: Any, place: str) -> None:
    from urllib.parse import quote

    assert one_server.ask("GET", f"/events?after={quote(place)}")[0] in (400, 404)


def closes_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        pass
    return True


def test_a_request_that_never_comes_loses_its_connection(one_server: Any) -> None:
    with socket.create_connection(("127.0.0.1", one_server.port)) as silent:
        assert closes_within(silent, 10)


def test_a_head_that_comes_letter_by_letter_loses_its_connection(one_server: Any) -> None:
    with socket.create_connection(("127.0.0.1", one_server.port)) as slow:
        for _ in range(200):
            try:
                slow.sendall(b"x")
            except OSError:
                return
            time.sleep(0.05)
        raise AssertionError("two hundred letters in ten seconds were waited for")


def test_a_second_head_on_a_connection_is_not_waited_for_either(one_server: Any) -> None:
    with socket.create_connection(("127.0.0.1", one_server.port)) as slow:
        slow.sendall(f"GET /main.js HTTP/1.1\r\nhost: {one_server.host}\r\n\r\nGET".encode())
        for _ in range(200):
            try:
                slow.sendall(b" ")
            except OSError:
                return
            time.sleep(0.05)
        raise AssertionError("two hundred letters in ten seconds were waited for")


def test_a_body_that_comes_letter_by_letter_is_refused(one_server: Any) -> None:
    head = (
        f"POST /events HTTP/1.1\r\nhost: {one_server.host}\r\nauthorization: Bearer {one_server.token}\r\n"
        "content-type: application/json\r\ncontent-length: 1000\r\n\r\n["
    )
    with socket.create_connection(("127.0.0.1", one_server.port)) as slow:
        slow.sendall(head.encode())
        slow.settimeout(20)
        said = slow.recv(4096)
        assert said.startswith(b"HTTP/1.1 408")
        assert closes_within(slow, 10)


def test_after_all_that_nothing_was_kept_and_the_next_good_event_is(one_server: Any) -> None:
    status, said = one_server.ask("POST", "/events", GOOD)
    assert (status, said["accepted"]) == (202, 1)
    kept = list(one_server.watch(until=said["last"]))
    assert len(kept) == 1


def test_more_than_the_rate_is_refused_with_the_time_to_wait(
    live_server: Callable[..., Any], event: Callable[..., dict[str, Any]]
) -> None:
    server = live_server(limits={"events_per_s": 0.5, "burst": 4})
    assert server.post(*(event(n) for n in range(4)))[0] == 202
    status, said = server.post(event(9))
    assert status == 429 and "events a second" in said["error"]
    assert server.post(*(event(n) for n in range(4)))[0] == 429  # what is known already is counted too


def test_watchers_are_bounded(live_server: Callable[..., Any], event: Callable[..., dict[str, Any]]) -> None:
    server = live_server(limits={"watchers": 1})
    server.post(event())
    first = server.watch()
    next(first)
    status, said = server.ask("GET", "/events")
    assert status == 503 and "close a page" in said["error"]
    first.close()


def test_every_answer_is_dressed_for_a_browser(one_server: Any) -> None:
    for path, token in (("/", ""), ("/main.js", ""), ("/events", "x"), ("/none", one_server.token)):
        said = one_server.raw(
            f"GET {path} HTTP/1.1\r\nhost: {one_server.host}\r\nauthorization: Bearer {token}\r\n\r\n".encode()
        ).decode("latin-1")
        head = said.partition("\r\n\r\n")[0].lower()
        assert "content-security-policy: default-src 'none'; script-src 'self'" in head
        for each in ("x-content-type-options: nosniff", "referrer-policy: no-referrer", "x-frame-options: deny"):
            assert each in head
        assert "access-control" not in head and "server:" not in head


def test_a_link_from_elsewhere_opens_the_page_but_nothing_that_was_published(one_server: Any) -> None:
    crossed = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert one_server.ask("GET", "/", authorization="", **crossed)[0] == 200
    assert (
        one_server.ask("GET", "/main.js", authorization="", sec_fetch_site="cross-site", sec_fetch_mode="no-cors")[0]
        == 403
    )
    assert one_server.ask("GET", "/events", **crossed)[0] == 403
