"""Cases about the members of a tar: their names, their types, and how often they come.

What does not belong here: headers that are malformed, and pax (`tar_cases.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from hostile_corpus.archive import tars
from hostile_corpus.case import END, Case, Content, Good, degraded, ok, pack, reject

_HOST = "archive-members"


def _with(extra: bytes) -> Callable[[Good], Content]:
    return lambda good: pack(good.body() + extra + END)


def _named(what: str, name: bytes, reason: str = "member_name", **more: bytes) -> Case:
    return reject(_HOST, f"a-name-{what}", f"archive.{reason}", _with(tars.member(name, b"x", **more)))


def _typed(what: str, kind: bytes, data: bytes = b"", name: bytes = b"thing", **more: bytes) -> Case:
    return reject(_HOST, what, "archive.member_type", _with(tars.member(name, data, kind, **more)))


def _again(what: str, name: bytes) -> Case:
    return reject(_HOST, what, "archive.duplicate", _with(tars.member(name, b"{}")))


def _dotted(good: Good) -> bytes:
    members = good.members()
    folders = tars.member(b"./", kind=b"5") + tars.member(b"./logs/", kind=b"5") + tars.member(b"logs", kind=b"5")
    body = b"".join(tars.member(b"./" + name.encode(), data) for name, data in members.items())
    return pack(folders + body + tars.member(b"./logs/auth.log", b"one\n") + END)


def _gnu(good: Good) -> bytes:
    return pack(b"".join(tars.member(n.encode(), d, magic=tars.GNU) for n, d in good.members().items()) + END)


def _old(good: Good) -> bytes:
    return pack(b"".join(tars.member(n.encode(), d, b"\0") for n, d in good.members().items()) + END)


def _every_known_member(good: Good) -> bytes:
    names = [b"gt_ttp_sequence.json", b"gt_tamper_spans.json"]
    logs = [b"audit.log", b"auth.log", b"journal.jsonl", b"sysmon.jsonl", b"Security.evtx", b"x.y-1_2.evtx"]
    extra = b"".join(tars.member(name, b"\xff\0<b>") for name in [*names, *(b"logs/" + log for log in logs)])
    return pack(good.body() + extra + END)


def _many_members(n: int, name: bytes = b"m%06d") -> Callable[[Good], Content]:
    return lambda good: pack(good.body() + b"".join(tars.header(name % i) for i in range(n)) + END)


CASES = (
    ok(_HOST, "control-a-leading-dot-slash-and-folders", _dotted),
    ok(_HOST, "control-gnu-headers", _gnu),
    ok(_HOST, "control-the-old-type-of-plain-files", _old),
    ok(_HOST, "control-every-member-of-the-format", _every_known_member),
    ok(_HOST, "control-a-prefix-that-says-logs", _with(tars.member(b"auth.log", b"x", prefix=b"logs"))),
    _named("that-climbs", b"../evil"),
    _named("that-climbs-behind-a-dot", b"./../evil"),
    _named("that-climbs-from-logs", b"logs/../../evil"),
    _named("that-climbs-in-its-prefix", b"evil", prefix=b".."),
    _named("that-is-two-dots", b".."),
    _named("that-is-absolute", b"/etc/cron.d/evil"),
    _named("that-is-absolute-in-its-prefix", b"passwd", prefix=b"/etc"),
    _named("that-is-the-root", b"/"),
    _named("with-a-backslash", b"..\\evil"),
    _named("with-a-drive", b"C:evil.txt"),
    _named("with-a-drive-and-a-backslash", b"C:\\Windows\\evil"),
    _named("with-a-stream", b"meta.json::$DATA"),
    _named("of-a-network-share", b"//server/share"),
    _named("with-a-nul", b"meta.json\0.txt", "header"),
    _named("with-a-nul-in-its-prefix", b"evil", "header", prefix=b"a\0b"),
    _named("that-is-empty", b""),
    _named("that-is-a-dot", b"."),
    _named("that-ends-in-a-slash", b"logs/"),
    _named("with-two-slashes", b"logs//auth.log"),
    _named("with-two-leading-dots-slash", b"././proc.jsonl"),
    _named("in-another-folder", b"host/proc.jsonl"),
    _named("deep-below-logs", b"logs/a/b.evtx"),
    _named("in-a-folder-logs-of-another-case", b"LOGS/auth.log"),
    _named("with-umlauts", "größe.txt".encode()),
    _named("with-a-look-alike", "mеta.json".encode()),
    _named("with-a-full-width-dot", "．．/evil".encode()),
    _named("with-a-right-to-left-override", "txt.\u202enosj.atem".encode()),
    _named("with-a-zero-width-space", "meta\u200b.json".encode()),
    _named("that-is-not-utf-8", b"meta\xff.json"),
    _named("with-overlong-utf-8", b"\xc0\xae\xc0\xae/evil"),
    _named("with-a-newline", b"a\nb"),
    _named("with-an-escape", b"\x1b[2Jx"),
    _named("with-a-space", b"proc .jsonl"),
    _named("with-a-leading-dash", b"--help"),
    _named("that-is-hidden", b".bashrc"),
    _named("of-a-mac", b"._meta.json"),
    _named("with-a-pipe", b"a|b"),
    _named("with-html", b"<img src=x>"),
    _named("with-two-dots-inside", b"a..b"),
    _named("of-200-letters", b"n" * 99, prefix=b"p" * 100),
    _typed("a-hard-link", b"1", link=b"meta.json"),
    _typed("a-hard-link-that-brings-data", b"1", b"data", link=b"/etc/shadow"),
    _typed("a-symlink", b"2", link=b"/etc/passwd"),
    _typed("a-symlink-named-as-the-folder-logs", b"2", name=b"logs", link=b"/etc"),
    _typed("a-symlink-named-as-the-meta", b"2", name=b"meta.json", link=b"/etc/passwd"),
    _typed("a-character-device", b"3"),
    _typed("a-block-device", b"4"),
    _typed("a-fifo", b"6"),
    _typed("a-contiguous-file", b"7", b"x"),
    _typed("a-gnu-sparse-file", b"S", magic=tars.GNU),
    _typed("a-gnu-long-name", b"L", b"evil" * 40 + b"\0", b"././@LongLink", magic=tars.GNU),
    _typed("a-gnu-long-link", b"K", b"/etc/passwd\0", b"././@LongLink", magic=tars.GNU),
    _typed("a-gnu-volume-label", b"V", magic=tars.GNU),
    _typed("a-gnu-continued-file", b"M", b"x", magic=tars.GNU),
    _typed("a-gnu-folder-dump", b"D", b"Yx\0\0", magic=tars.GNU),
    _typed("a-solaris-header", b"X", tars.pax_record(b"path", b"/etc/passwd")),
    _typed("a-type-nobody-knows", b"Z", b"x"),
    _typed("a-type-that-is-no-letter", b"\xff"),
    _typed("a-type-that-is-a-space", b" "),
    reject(_HOST, "a-plain-file-with-a-link-target", "archive.header", _with(tars.header(b"a", link=b"/etc/passwd"))),
    reject(_HOST, "a-folder-nobody-knows", "archive.folder", _with(tars.member(b"evil/", kind=b"5"))),
    reject(_HOST, "a-folder-that-climbs", "archive.folder", _with(tars.member(b"../", kind=b"5"))),
    reject(_HOST, "a-folder-named-as-the-meta", "archive.folder", _with(tars.member(b"meta.json", kind=b"5"))),
    reject(_HOST, "a-folder-that-holds-data", "archive.folder", _with(tars.member(b"logs/", b"x" * 512, b"5"))),
    _again("a-second-meta", b"meta.json"),
    _again("a-second-meta-behind-a-dot", b"./meta.json"),
    _again("a-case-twin-of-the-meta", b"META.json"),
    _again("a-case-twin-of-a-source", b"Proc.JSONL"),
    _again("a-second-source", b"netflow.jsonl"),
    reject(
        _HOST,
        "case-twins-of-a-log",
        "archive.duplicate",
        _with(tars.member(b"logs/A.evtx", b"1") + tars.member(b"logs/a.evtx", b"2")),
    ),
    degraded(_HOST, "a-member-nobody-knows", "archive.unknown_member", _with(tars.member(b"notes.txt", b"hello"))),
    degraded(
        _HOST, "a-member-that-is-a-script", "archive.unknown_member", _with(tars.member(b"evil.sh", b"#!/bin/sh"))
    ),
    degraded(_HOST, "a-log-nobody-knows", "archive.unknown_member", _with(tars.member(b"logs/x.log", b"x"))),
    degraded(_HOST, "a-device-name-of-windows", "archive.unknown_member", _with(tars.member(b"CON", b"x"))),
    degraded(_HOST, "a-source-under-logs", "archive.unknown_member", _with(tars.member(b"logs/proc.jsonl", b"x"))),
    degraded(
        _HOST,
        "nearly-4096-members-with-long-names",
        "archive.unknown_member",
        _many_members(4_080, b"n" * 90 + b"%06d"),
        heavy=True,
    ),
    reject(_HOST, "more-than-4096-members", "archive.members", _many_members(4_100), heavy=True),
    reject(_HOST, "a-hundred-thousand-members", "archive.members", _many_members(100_000), heavy=True),
    reject(
        _HOST,
        "a-hundred-thousand-folders",
        "archive.members",
        lambda g: pack(g.body() + tars.header(b"logs/", kind=b"5") * 100_000 + END),
        heavy=True,
    ),
)
