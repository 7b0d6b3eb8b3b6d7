"""Cases about the index: what it says of a tarball, and what stands where a tarball should.

Every tarball here is good; only its line, its place or its neighbours are not. What does not belong here:
the content of tarballs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile_corpus.case import Case, Good, Record, degraded, ok, one_line, reject

_HOST = "index"


def _good(good: Good) -> bytes:
    return good.packed()


def _line(name: str, verdict: str, reason: str, lines: Callable[[Record], bytes]) -> Case:
    return Case(name, verdict, reason, _good, lines, host=_HOST, alone=False)


def _ok(name: str, lines: Callable[[Record], bytes]) -> Case:
    return _line(f"control-{name}", "ok", "", lines)


def _orphan(name: str, lines: Callable[[Record], bytes]) -> Case:
    """A line that cannot be used leaves its tarball without one."""
    return _line(name, "degraded", "index.orphan", lines)


def _says(**changes: Any) -> Callable[[Record], bytes]:
    return lambda record: one_line({key: value for key, value in (record | changes).items() if value is not ...})


def _value(key: str, raw: bytes) -> Callable[[Record], bytes]:
    def line(record: Record) -> bytes:
        rest = {k: v for k, v in record.items() if k != key}
        return json.dumps(rest).encode()[:-1] + b', "%s": %s}\n' % (key.encode(), raw)

    return line


def _twice(**changes: Any) -> Callable[[Record], bytes]:
    return lambda record: one_line(record) + _says(**changes)(record)


def _nothing(_: Record) -> bytes:
    return b""


def _placed(name: str, place: Callable[[Path, Good], None], reason: str = "index.missing_file") -> Case:
    return Case(name, "reject", reason, lambda g: b"", place=place, host=_HOST, alone=False)


def _symlink(path: Path, good: Good) -> None:
    target = path.parents[3] / "outside.tar.zst"
    target.write_bytes(good.packed())
    path.symlink_to(target)


def _dangling(path: Path, good: Good) -> None:
    path.symlink_to("/nowhere/at/all")


def _loop(path: Path, good: Good) -> None:
    path.symlink_to(path.name)


def _fifo(path: Path, good: Good) -> None:
    os.mkfifo(path)


def _folder(path: Path, good: Good) -> None:
    path.mkdir()
    (path / "meta.json").write_bytes(good.meta())


def _none(path: Path, good: Good) -> None:
    pass


def _upper(record: Record) -> bytes:
    return one_line(record | {"sha256": record["sha256"].upper()})


def _deep(record: Record) -> bytes:
    return _value("extra", b"[" * 5_000 + b"]" * 5_000)(record)


def _episode_twin(record: Record) -> bytes:
    """A second record for the same episode in other letters, whose tarball is not there."""
    twin = record["episode_id"].upper()
    return one_line(record) + one_line(record | {"episode_id": twin, "path": f"episodes/{_HOST}/{twin}.tar.zst"})


_TWIN = "A-Case-Twin-of-an-episode"

CASES = (
    _ok("upper-case-hex", _upper),
    _ok("extra-keys", _says(profile="io-walk", sample_name="walker", received_wall_ns=5, note={"a": ["<b>"]})),
    _ok("a-line-that-stands-twice", lambda r: one_line(r) * 2),
    _ok("a-line-that-is-mended-later", lambda r: one_line(r | {"sha256": "0" * 64, "bytes": 1}) + one_line(r)),
    _ok("two-records-in-a-line", lambda r: one_line(r)[:-1] + one_line(r)),
    _ok("half-a-record-before-it", lambda r: one_line(r)[:50] + one_line(r)),
    _ok("half-a-record-after-it", lambda r: one_line(r)[:-1] + one_line(r)[:50] + b"\n"),
    _ok("a-byte-order-mark", lambda r: b"\xef\xbb\xbf" + one_line(r)),
    _ok("invalid-utf-8-before-it", lambda r: b"\xff\xfe\xc0" + one_line(r)),
    _ok("zeros-before-it", lambda r: bytes(4096) + one_line(r)),
    _ok("empty-lines-around-it", lambda r: b"\n \n\r\n" + one_line(r) + b"\n\n"),
    _ok("line-ends-of-windows", lambda r: one_line(r)[:-1] + b"\r\n"),
    _ok("a-thousand-open-braces-in-the-line-before", lambda r: b"{" * 1000 + b"\n" + one_line(r)),
    _ok("a-case-twin-that-is-not-there", _episode_twin),
    _ok("the-same-record-a-thousand-times", lambda r: one_line(r) * 1000),
    _line("a-wrong-hash", "reject", "index.sha256", _says(sha256="ab" * 32)),
    _line("a-size-that-is-too-small", "reject", "index.bytes", _says(bytes=7)),
    _line("a-size-that-is-too-large", "reject", "index.bytes", _says(bytes=2**63 - 1)),
    _line("a-size-of-zero", "reject", "index.bytes", _says(bytes=0)),
    _line("a-line-that-is-spoiled-later", "reject", "index.sha256", _twice(sha256="cd" * 32)),
    _line(_TWIN, "ok", "", one_line),
    _line(_TWIN.lower(), "reject", "index.case_twin", one_line),
    _line("another-twin", "ok", "", one_line),
    _line("Another-Twin", "reject", "index.case_twin", one_line),
    _orphan("no-line", _nothing),
    _orphan("half-a-line", lambda r: one_line(r)[:60] + b"\n"),
    _orphan("a-line-of-garbage", lambda r: b"garbage\n"),
    _orphan("a-line-that-is-a-list", lambda r: b"[" + one_line(r)[:-1] + b"]\n"),
    _orphan("a-line-with-nan", _value("received_wall_ns", b"NaN")),
    _orphan("a-line-with-a-duplicate-key", _value("extra", b'1, "extra": 2')),
    _orphan("a-line-nested-5000-deep", _deep),
    _orphan("a-line-in-utf-16", lambda r: one_line(r).decode().encode("utf-16-le") + b"\n"),
    _orphan("a-path-that-climbs", _says(path="../../../etc/passwd")),
    _orphan("a-path-that-is-absolute", _says(path="/etc/passwd")),
    _orphan("a-path-of-another-episode", _says(path="episodes/index/other.tar.zst")),
    _orphan("a-path-with-a-detour", lambda r: one_line(r | {"path": r["path"].replace("/", "//")})),
    _orphan("a-path-with-backslashes", lambda r: one_line(r | {"path": r["path"].replace("/", "\\")})),
    _orphan("a-path-that-is-null", _says(path=None)),
    _orphan("a-path-that-is-missing", _says(path=...)),
    _orphan("an-episode-that-is-missing", _says(episode_id=...)),
    _orphan("an-episode-that-climbs", _says(episode_id="../../x", path="episodes/index/../../x.tar.zst")),
    _orphan("a-host-with-a-pipe", _says(host_id="a|b")),
    _orphan("a-host-that-is-a-number", _says(host_id=5)),
    _orphan("a-hash-that-is-short", _says(sha256="ab")),
    _orphan("a-hash-that-is-no-hex", _says(sha256="zz" * 32)),
    _orphan("a-hash-that-is-null", _says(sha256=None)),
    _orphan("a-hash-with-a-newline", _says(sha256="ab" * 32 + "\n")),
    _orphan("a-size-that-is-negative", _says(bytes=-1)),
    _orphan("a-size-that-is-a-float", _says(bytes=1.5)),
    _orphan("a-size-that-is-true", _says(bytes=True)),
    _orphan("a-size-beyond-int64", _value("bytes", b"9223372036854775808")),
    _orphan("a-size-of-5000-digits", _value("bytes", b"9" * 5_000)),
    _orphan("a-profile-that-is-html", _says(profile="<b>")),
    _orphan("a-sample-that-is-a-list", _says(sample_name=[])),
    _orphan("a-time-of-receipt-that-is-text", _says(received_wall_ns="now")),
    reject(_HOST, "a-good-tarball-of-another-episode", "meta.identity", lambda g: Good(g.host, "other").packed()),
    Case("an-orphan-that-is-garbage", "reject", "archive.not_zstd", lambda g: b"garbage", _nothing, host=_HOST),
    Case(
        "an-orphan-of-another-host",
        "reject",
        "meta.identity",
        lambda g: Good("other", g.episode).packed(),
        _nothing,
        host=_HOST,
    ),
    _placed("a-symlink-out-of-the-store", _symlink),
    _placed("a-symlink-to-nowhere", _dangling),
    _placed("a-symlink-to-itself", _loop),
    _placed("a-fifo-in-place-of-a-tarball", _fifo),
    _placed("a-folder-in-place-of-a-tarball", _folder),
    _placed("a-line-without-a-tarball", _none),
    ok(_HOST, "control-a-plain-good-episode", _good),
    degraded(_HOST, "an-unknown-profile", "meta.unknown_profile", lambda g: g.packed(meta=g.meta(profile="new"))),
)


def _linked_host(store: Path) -> None:
    outside = store.parent / "outside-host"
    outside.mkdir()
    (outside / "ep.tar.zst").write_bytes(Good("linked-host", "ep").packed())
    (store / "episodes" / "linked-host").symlink_to(outside)


def _file_as_host(store: Path) -> None:
    (store / "episodes" / "a-file").write_bytes(b"x")


def _unsafe_names(store: Path) -> None:
    folder = store / "episodes" / "un safe"
    folder.mkdir()
    (folder / "ep.tar.zst").write_bytes(b"x")
    for name in (
        "..hidden.tar.zst",
        "a b.tar.zst",
        "a|b.tar.zst",
        "\u202e.tar.zst",
        "a\nb.tar.zst",
        ".tar.zst",
        "-x.tar.zst",
    ):
        (store / "episodes" / _HOST / name).write_bytes(b"x")
    os.close(os.open(os.fsencode(store / "episodes" / _HOST) + b"/\xff\xfe.tar.zst", os.O_CREAT | os.O_WRONLY))


def _other_files(store: Path) -> None:
    (store / "episodes" / _HOST / "notes.txt").write_bytes(b"x")
    (store / "episodes" / _HOST / "episode.tar.zst.part").write_bytes(b"x")
    (store / "episodes" / "empty-host").mkdir()


# What else lies in the store.
STRAYS = (_linked_host, _file_as_host, _unsafe_names, _other_files)

# Of it, what looks like a tarball: rejected as `index.path`, under a name that can be printed.
UNSAFE_PATHS = frozenset(
    {
        "episodes/un safe/ep.tar.zst",
        *(
            f"episodes/{_HOST}/{name}.tar.zst"
            for name in ("a b", "a|b", "\\u202e", "a\\u000ab", "-x", "\\udcff\\udcfe")
        ),
    }
)

# Lines of the index that concern no tarball of the corpus, and the fault that each must be.
STRAY_LINES: tuple[tuple[bytes, str], ...] = (
    (b"null\n", "index.unreadable"),
    (b"{}\n", "index.form"),
    (b"\xff\xfe\n", "index.unreadable"),
    (b"\0" * 1000 + b"\n", "index.unreadable"),
    (b"[" * 5_000 + b"\n", "index.unreadable"),
    (b'{"a":' * 5_000 + b"\n", "index.unreadable"),
    (b'{"episode_id":"' + b"e" * 1_000_000 + b'"}\n', "index.form"),
    (b"{" * 100_000 + b"\n", "index.unreadable"),
    (b'{"episode_id":"ep","host_id":"\\ud800"}\n', "index.unreadable"),
    (b'{"episode_id":"\\u202e","host_id":"a"}\n', "index.form"),
    (b'{"episode_id":"half', "index.unreadable"),
)
