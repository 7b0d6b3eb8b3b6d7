"""Cases about the file and its zstd frame: what surrounds it, what it claims, what comes out of it.

What does not belong here: the tar inside (`tar_cases.py`, `member_cases.py`).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard

from hostile_corpus.archive import frames, tars
from hostile_corpus.case import END, Case, Content, Good, degraded, ok, pack, reject

_HOST = "archive-frames"
_GIB = 1024**3
_HUGE = 8**11 - 1  # the largest size that eleven octal digits hold


def _zip(good: Good) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("meta.json", good.meta())
    return out.getvalue()


def _streamed(good: Good, flush_every: int = 700) -> bytes:
    engine = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compressobj()
    raw, parts = good.tar(), []
    for at in range(0, len(raw), flush_every):
        parts.append(engine.compress(raw[at : at + flush_every]))
        parts.append(engine.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    return b"".join([*parts, engine.flush()])


def _checksummed(good: Good, spoil: bool = False) -> bytes:
    data = zstandard.ZstdCompressor(write_checksum=True).compress(good.tar())
    return data[:-1] + bytes([data[-1] ^ spoil])


def _long(good: Good) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    engine = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return engine.compress(good.tar()) + engine.flush()


def _with_dictionary(good: Good) -> bytes:
    samples = [good.rows("proc", n) for n in range(5, 60)]
    dictionary = zstandard.train_dictionary(4096, samples * 4)
    return zstandard.ZstdCompressor(dict_data=dictionary).compress(good.tar())


def _bomb(_: Good) -> Iterator[bytes]:
    yield frames.header()
    yield from frames.repeated(b"\0", 16 * _GIB)
    yield frames.raw(b"", last=True)


def _bomb_in(name: bytes, n: int, byte: bytes = b"\0", claimed: int | None = None) -> Callable[[Good], Content]:
    def make(good: Good) -> Iterator[bytes]:
        yield frames.header()
        yield frames.raw(good.body(guest=None))
        yield frames.raw(tars.header(name, n if claimed is None else claimed))
        yield from frames.repeated(byte, n)
        yield frames.raw(bytes(-n % 512) + END, last=True)

    return make


def _zeros_after_the_tar(good: Good) -> Iterator[bytes]:
    yield frames.header()
    yield frames.raw(good.tar())
    yield from frames.repeated(b"\0", 200 * 1024**2)
    yield frames.raw(b"", last=True)


def _sized(change: int) -> Callable[[Good], Content]:
    def make(good: Good) -> bytes:
        raw = good.tar()
        return frames.raw_frame(raw, head=frames.header(len(raw) + change))

    return make


def _compressed_block_of_128_kib() -> bytes:
    """The one block, header and all, of a frame without a content size."""
    data = zstandard.ZstdCompressor(write_content_size=False).compress(b"ab" * (frames.BLOCK // 2))
    return frames.block(2, len(data) - 9, data[9:])


def _small_size_large_blocks(good: Good) -> Iterator[bytes]:
    """Over 4 MiB of blocks in a frame that promises 4 MiB, of which 2.5 GiB would come."""
    yield frames.header(4 * 1024**2)
    yield _compressed_block_of_128_kib() * 20_000
    yield from [frames.raw(bytes(frames.BLOCK))] * 33
    yield frames.raw(b"", last=True)


def _a_file_of_300_mib(path: Path, good: Good) -> None:
    with path.open("wb") as out:
        out.write(frames.skippable(b"", claimed=2**32 - 1))
        out.truncate(300 * 1024**2)


def _tiny_blocks(n: int, kind: int = 0) -> Callable[[Good], Content]:
    def make(good: Good) -> bytes:
        one = frames.block(kind, 0 if kind == 0 else 1, b"" if kind == 0 else b"\0")
        return frames.header() + frames.raw(good.tar()) + one * n + frames.raw(b"", last=True)

    return make


def _long_line(good: Good) -> Iterator[bytes]:
    rows, n = good.rows("guest"), 40 * 1024**2
    yield frames.header()
    yield frames.raw(good.body(guest=None))
    yield frames.raw(tars.header(b"guest.jsonl", 2 * len(rows) + n + 1) + rows)
    yield from frames.repeated(b"7", n)
    yield frames.raw(b"\n" + rows + bytes(-(2 * len(rows) + n + 1) % 512) + END, last=True)


def _reject(name: str, reason: str, make: Callable[[Good], Content], **more: object) -> Case:
    return reject(_HOST, name, f"archive.{reason}", make, **more)


CASES = (
    ok(_HOST, "control-streamed-without-a-content-size-and-checksummed", _streamed),
    ok(_HOST, "control-with-a-checksum", _checksummed),
    ok(_HOST, "control-blocks-of-one-byte", lambda g: frames.raw_frame(g.tar(), 1)),
    ok(
        _HOST,
        "control-skippable-frames-around",
        lambda g: frames.skippable(b"a" * 9) + g.packed() + frames.skippable(b""),
    ),
    ok(_HOST, "control-sixty-four-skippable-frames", lambda g: g.packed() + frames.skippable(b"x", nibble=15) * 64),
    ok(
        _HOST,
        "control-a-dictionary-id-of-zero",
        lambda g: frames.raw_frame(g.tar(), head=frames.header(dictionary=b"\0")),
    ),
    ok(_HOST, "control-the-unused-bit", lambda g: frames.raw_frame(g.tar(), head=frames.header(flags=0x10))),
    ok(_HOST, "control-a-window-of-8-mib", lambda g: frames.raw_frame(g.tar())),
    ok(_HOST, "control-the-content-size-is-true", _sized(0)),
    ok(_HOST, "control-empty-blocks-between", _tiny_blocks(5_000)),
    _reject("an-empty-file", "empty", lambda g: b""),
    _reject("one-byte", "truncated", lambda g: b"\x28"),
    _reject("only-skippable-frames", "empty", lambda g: frames.skippable(b"hello") * 3),
    _reject("a-gzip-file", "not_zstd", lambda g: gzip.compress(g.tar(), mtime=0)),
    _reject("an-xz-file", "not_zstd", lambda g: lzma.compress(g.tar())),
    _reject("a-bzip2-file", "not_zstd", lambda g: bz2.compress(g.tar())),
    _reject("a-zip-file", "not_zstd", _zip),
    _reject("a-plain-tar", "not_zstd", lambda g: g.tar()),
    _reject("a-frame-of-zstd-0-7", "not_zstd", lambda g: b"\x27\xb5\x2f\xfd" + g.packed()[4:]),
    _reject("a-zstd-dictionary-file", "not_zstd", lambda g: b"\x37\xa4\x30\xec" + g.packed()[4:]),
    _reject("text", "not_zstd", lambda g: b"<html>404 Not Found</html>"),
    _reject("a-mebibyte-of-zeros", "not_zstd", lambda g: bytes(1024**2)),
    _reject("a-byte-before-the-frame", "not_zstd", lambda g: b"\n" + g.packed()),
    _reject("a-byte-after-the-frame", "truncated", lambda g: g.packed() + b"\n"),
    _reject("bytes-after-the-frame", "trailing_bytes", lambda g: g.packed() + b"trailing"),
    _reject("a-second-frame", "second_frame", lambda g: g.packed() * 2),
    _reject(
        "a-second-frame-after-a-skippable-one",
        "second_frame",
        lambda g: g.packed() + frames.skippable(b"x") + pack(b"x"),
    ),
    _reject("an-empty-second-frame", "second_frame", lambda g: g.packed() + pack(b"")),
    _reject("a-tar-split-over-two-frames", "", lambda g: pack(g.tar()[:2048]) + pack(g.tar()[2048:])),
    _reject("a-frame-that-is-cut-in-its-header", "truncated", lambda g: g.packed()[:5]),
    _reject("a-frame-that-is-cut-in-a-block-header", "truncated", lambda g: frames.header() + b"\x00"),
    _reject("a-frame-that-is-cut-in-half", "truncated", lambda g: g.packed()[: len(g.packed()) // 2]),
    _reject("a-frame-without-its-last-byte", "truncated", lambda g: g.packed()[:-1]),
    _reject("a-frame-without-a-last-block", "truncated", lambda g: frames.header() + frames.raw(g.tar())),
    _reject("a-frame-without-its-checksum", "truncated", lambda g: _checksummed(g)[:-4]),
    _reject("a-wrong-checksum", "zstd", lambda g: _checksummed(g, spoil=True)),
    _reject("a-dictionary", "zstd_dictionary", _with_dictionary),
    _reject(
        "a-dictionary-id",
        "zstd_dictionary",
        lambda g: frames.raw_frame(g.tar(), head=frames.header(dictionary=b"\1\0\0\0")),
    ),
    _reject("the-reserved-bit", "zstd", lambda g: frames.raw_frame(g.tar(), head=frames.header(flags=0x08))),
    _reject("a-reserved-block-type", "zstd", lambda g: frames.header() + frames.block(3, 9, b"x" * 9, True)),
    _reject("a-block-over-128-kib", "zstd", lambda g: frames.header() + frames.block(0, 131_073, bytes(131_073), True)),
    _reject("a-repeated-block-over-128-kib", "zstd", lambda g: frames.header() + frames.rle(b"\0", 2**21 - 1, True)),
    _reject(
        "a-compressed-block-of-garbage", "zstd", lambda g: frames.header() + frames.block(2, 99, b"\xa5" * 99, True)
    ),
    _reject("an-empty-compressed-block", "", lambda g: frames.header() + frames.block(2, 0, b"", True)),
    _reject("a-block-over-the-small-window", "zstd", lambda g: frames.raw_frame(g.tar(), head=frames.header(window=0))),
    _reject("a-window-of-128-mib", "window", _long),
    _reject(
        "a-window-just-over-8-mib",
        "window",
        lambda g: frames.raw_frame(g.tar(), head=frames.header(window=13 << 3 | 1)),
    ),
    _reject("the-largest-window", "window", lambda g: frames.raw_frame(g.tar(), head=frames.header(window=255))),
    _reject(
        "one-segment-of-a-terabyte",
        "window",
        lambda g: frames.raw_frame(g.tar(), head=frames.header(2**40, single=True)),
    ),
    _reject(
        "one-segment-of-2-to-the-64",
        "window",
        lambda g: frames.raw_frame(g.tar(), head=frames.header(2**64 - 1, single=True)),
    ),
    _reject(
        "a-content-size-of-2-to-the-63", "too_large", lambda g: frames.raw_frame(g.tar(), head=frames.header(2**63))
    ),
    _reject("a-content-size-that-is-one-too-small", "zstd", _sized(-1)),
    _reject("a-content-size-that-is-one-too-large", "zstd", _sized(1)),
    _reject("a-content-size-of-zero-for-a-full-frame", "", lambda g: frames.raw_frame(g.tar(), head=frames.header(0))),
    _reject("a-content-size-of-250-mib-for-a-small-frame", "zstd", _sized(250 * 1024**2)),
    _reject("a-content-size-of-4-mib-for-2-gib", "zstd", _small_size_large_blocks),
    _reject("an-empty-frame", "truncated", lambda g: pack(b"")),
    _reject("sixty-five-skippable-frames", "skippable", lambda g: frames.skippable(b"x") * 65 + g.packed()),
    _reject(
        "a-skippable-frame-that-claims-4-gib",
        "truncated",
        lambda g: frames.skippable(b"x", claimed=2**32 - 1) + g.packed(),
    ),
    _reject("a-skippable-frame-without-a-size", "truncated", lambda g: g.packed() + frames.skippable(b"")[:6]),
    _reject("a-bomb-of-16-gib", "too_large", _bomb),
    _reject("a-bomb-inside-a-member-that-nobody-knows", "too_large", _bomb_in(b"notes.txt", 2 * _GIB)),
    _reject("a-bomb-inside-a-log", "too_large", _bomb_in(b"logs/auth.log", _GIB, b"a")),
    reject(_HOST, "a-bomb-of-newlines-inside-a-source", "channel.too_many_rows", _bomb_in(b"guest.jsonl", _GIB, b"\n")),
    _reject("a-bomb-of-spaces-inside-a-source", "too_large", _bomb_in(b"guest.jsonl", _GIB, b" ")),
    _reject("a-line-of-256-mib", "too_large", _bomb_in(b"guest.jsonl", 256 * 1024**2, b"7")),
    _reject("a-member-that-claims-8-gib-and-brings-a-bomb", "too_large", _bomb_in(b"notes.txt", _GIB, claimed=_HUGE)),
    _reject(
        "zeros-without-end-where-a-member-should-be",
        "too_large",
        lambda g: [frames.header(), *frames.repeated(b"\0", _GIB)],
    ),
    ok(_HOST, "control-200-mib-of-zeros-after-the-tar", _zeros_after_the_tar),
    _reject("more-than-100000-empty-blocks", "zstd_blocks", _tiny_blocks(100_001), heavy=True),
    _reject("more-than-100000-blocks-of-one-byte", "zstd_blocks", _tiny_blocks(100_001, kind=1), heavy=True),
    _reject("a-file-of-300-mib", "too_large", lambda g: b"", place=_a_file_of_300_mib, heavy=True),
    degraded(_HOST, "a-line-of-40-mib-among-good-ones", "json.bad_rows", _long_line),
)
