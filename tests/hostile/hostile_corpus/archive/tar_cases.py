"""Cases about the tar itself: fields of headers, pax records, where it ends.

What does not belong here: names and types of members (`member_cases.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from hostile_corpus.archive import tars
from hostile_corpus.case import END, Case, Content, Good, degraded, ok, pack, reject

_HOST = "archive-tar"
_LOG = tars.member(b"logs/auth.log", b"one\n")


def _with(extra: bytes) -> Callable[[Good], Content]:
    return lambda good: pack(good.body() + extra + END)


def _header(name: str, extra: bytes, reason: str = "header") -> Case:
    return reject(_HOST, name, f"archive.{reason}", _with(extra))


def _size(name: str, field: bytes, reason: str = "header") -> Case:
    return reject(_HOST, name, f"archive.{reason}", _with(tars.header(b"logs/auth.log", size_field=field)))


def _pax(name: str, *records: tuple[bytes, bytes] | bytes) -> Case:
    return _header(name, tars.pax(*records) + _LOG, "pax")


def _cut(name: str, at: int, reason: str = "truncated") -> Case:
    """The tar without its last `at` bytes, or with only the first `-at`."""
    return reject(_HOST, name, f"archive.{reason}", lambda g: pack(g.tar()[:-at]))


def _honest_pax(good: Good) -> bytes:
    times = tars.pax((b"mtime", b"1750000000.123456789"), (b"atime", b"1750000000.5"), (b"ctime", b"-1"))
    owners = tars.pax((b"uid", b"4294967297"), (b"gid", b"0"), (b"uname", "jörg".encode()), (b"gname", b"users"))
    folder = tars.pax((b"mtime", b"1")) + tars.member(b"logs/", kind=b"5")
    return pack(good.body() + folder + times + _LOG + owners + tars.member(b"logs/audit.log", b"x") + END)


def _noisy_padding(good: Good) -> bytes:
    return pack(good.body() + tars.header(b"logs/auth.log", 4) + b"one\n" + b"\xa5" * 508 + END)


def _cut_inside_data(good: Good) -> bytes:
    return pack(good.body() + tars.header(b"logs/auth.log", 5000) + b"x" * 4000)


def _unaligned(good: Good) -> bytes:
    return pack(good.body() + b"\0" + _LOG + END)


CASES = (
    ok(_HOST, "control-pax-headers-that-set-times-and-owners", _honest_pax),
    ok(_HOST, "control-an-empty-pax-header", _with(tars.pax() + _LOG)),
    ok(_HOST, "control-padded-to-ten-kibibytes", lambda g: pack(g.tar() + bytes(-len(g.tar()) % 10_240))),
    ok(_HOST, "control-bytes-in-the-padding-of-a-member", _noisy_padding),
    ok(_HOST, "control-a-size-with-leading-spaces", _with(tars.header(b"logs/auth.log", size_field=b"          0 "))),
    _size("a-size-in-base-256", b"\x80" + bytes(10) + b"\x04"),
    _size("a-huge-size-in-base-256", b"\x80" + b"\xff" * 11),
    _size("a-negative-size-in-base-256", b"\xff" * 12),
    _size("a-negative-size", b"-0000000001\0"),
    _size("a-size-with-a-plus", b"+0000000001\0"),
    _size("a-size-that-is-not-octal", b"00000000008\0"),
    _size("a-size-in-hex", b"0x00000001\0"),
    _size("a-size-with-an-underscore", b"0000_000001\0"),
    _size("a-size-of-other-digits", "٣".encode() * 5 + b"\0"),
    _size("a-size-with-a-gap", b"000000 0001\0"),
    _size("a-size-that-goes-on-after-a-nul", b"0000\x00000001\0"),
    _size("a-size-of-twelve-digits", b"000000000004"),
    _size("a-size-that-is-empty", b"\0" * 12),
    _size("a-size-that-is-blank", b" " * 12),
    _size("the-largest-octal-size", b"77777777777\0", "truncated"),
    _size("a-size-one-block-too-large", b"%011o\0" % 1025, "truncated"),
    _header("a-checksum-that-is-wrong", tars.header(b"a", checksum=b"000001\0 "), "checksum"),
    _header("a-checksum-that-is-empty", tars.header(b"a", checksum=bytes(8))),
    _header("a-checksum-of-letters", tars.header(b"a", checksum=b"checksum")),
    _header("a-header-of-ones", b"\xff" * 512),
    _header("a-header-of-text", b"A" * 512),
    _header("no-magic-at-all", tars.header(b"a", magic=bytes(8))),
    _header("a-magic-nobody-knows", tars.header(b"a", magic=b"tarball!")),
    _header("a-magic-of-two-kinds", tars.header(b"a", magic=b"ustar\x00 \x00")),
    _header("a-gnu-header-with-a-prefix", tars.header(b"a", magic=tars.GNU, prefix=b"logs")),
    _pax("a-pax-header-that-renames", (b"path", b"../../etc/passwd")),
    _pax("a-pax-header-that-renames-to-the-meta", (b"path", b"meta.json")),
    _pax("a-pax-header-that-resizes", (b"size", b"99999999999")),
    _pax("a-pax-header-that-links", (b"linkpath", b"/etc/passwd")),
    _pax("a-pax-header-of-a-sparse-file", (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")),
    _pax("a-pax-header-of-an-old-sparse-file", (b"GNU.sparse.map", b"0,1")),
    _pax("a-pax-header-with-attributes", (b"SCHILY.xattr.user.x", b"1")),
    _pax("a-pax-header-with-a-comment", (b"comment", b"hello")),
    _pax("a-pax-header-with-a-charset", (b"hdrcharset", b"BINARY")),
    _pax("a-pax-header-that-says-mtime-twice", (b"mtime", b"1"), (b"mtime", b"2")),
    _pax("a-pax-header-that-hides-a-path-behind-a-time", (b"mtime", b"1"), (b"path", b"x")),
    _pax("a-pax-key-of-another-case", (b"MTIME", b"1")),
    _pax("a-pax-key-that-is-empty", (b"", b"1")),
    _pax("a-pax-key-with-a-nul", (b"mtime\0", b"1")),
    _pax("a-pax-length-that-is-too-large", b"99 mtime=1\n"),
    _pax("a-pax-length-that-is-too-small", b"5 mtime=1\n"),
    _pax("a-pax-length-that-is-zero", b"0 mtime=1\n"),
    _pax("a-pax-length-that-is-negative", b"-11 mtime=1\n"),
    _pax("a-pax-length-that-is-missing", b"mtime=1\n"),
    _pax("a-pax-length-of-a-hundred-digits", b"1" * 100 + b" mtime=1\n"),
    _pax("a-pax-length-in-hex", b"0xb mtime=1\n"),
    _pax("a-pax-record-without-an-equals-sign", b"8 mtime\n"),
    _pax("a-pax-record-without-a-newline", b"10 mtime=1"),
    _pax("a-pax-record-of-zeros", bytes(100)),
    _pax("a-pax-header-over-8-kib", (b"uname", b"u" * 9_000)),
    _header("two-pax-headers", tars.pax((b"mtime", b"1")) * 2 + _LOG, "pax"),
    _header("a-pax-header-at-the-end", tars.pax((b"mtime", b"1")), "pax"),
    _header("a-pax-header-of-8-gib", tars.header(b"x", 8**11 - 1, b"x"), "pax"),
    _header("a-global-pax-header", tars.pax((b"mtime", b"1"), kind=b"g") + _LOG, "member_type"),
    reject(_HOST, "a-global-pax-header-first", "archive.member_type", lambda g: pack(tars.pax(kind=b"g") + g.tar())),
    _header("a-pax-header-before-a-link", tars.pax((b"mtime", b"1")) + tars.header(b"a", kind=b"2"), "member_type"),
    reject(_HOST, "a-tar-of-nothing", "meta.missing", lambda g: pack(END)),
    reject(_HOST, "a-tar-whose-end-stands-first", "archive.trailing_bytes", lambda g: pack(END + g.tar())),
    reject(_HOST, "a-tar-of-one-zero-block", "archive.truncated", lambda g: pack(bytes(512))),
    reject(_HOST, "a-tar-of-100-bytes", "archive.truncated", lambda g: pack(bytes(100))),
    _cut("a-tar-without-end-blocks", 1024),
    _cut("a-tar-with-one-end-block", 512),
    _cut("a-tar-with-one-and-a-half-end-blocks", 256),
    _cut("a-tar-cut-in-the-padding-of-a-member", 1024 + 3),
    reject(_HOST, "a-tar-cut-inside-a-header", "archive.truncated", lambda g: pack(g.body() + _LOG[:300])),
    reject(_HOST, "a-tar-cut-after-a-header", "archive.truncated", lambda g: pack(g.body() + _LOG[:512])),
    reject(_HOST, "a-tar-cut-inside-data", "archive.truncated", _cut_inside_data),
    reject(
        _HOST, "a-tar-cut-inside-a-pax-header", "archive.truncated", lambda g: pack(g.body() + tars.pax()[:512] + b"12")
    ),
    reject(_HOST, "a-tar-shifted-by-a-byte", "archive.", _unaligned),
    reject(_HOST, "bytes-after-the-tar", "archive.trailing_bytes", lambda g: pack(g.tar() + b"x" * 512)),
    reject(_HOST, "a-second-tar-after-the-tar", "archive.trailing_bytes", lambda g: pack(g.tar() * 2)),
    reject(
        _HOST,
        "a-member-between-the-end-blocks",
        "archive.trailing_bytes",
        lambda g: pack(g.body() + bytes(512) + _LOG + END),
    ),
    reject(_HOST, "half-a-zero-block-after-the-tar", "archive.truncated", lambda g: pack(g.tar() + bytes(100))),
    degraded(
        _HOST,
        "an-episode-of-the-meta-alone",
        "label.missing",
        lambda g: pack(tars.member(b"meta.json", g.meta()) + END),
    ),
)
