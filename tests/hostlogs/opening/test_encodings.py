"""Text in any Unicode encoding becomes UTF-8, whatever the chunks; UTF-8 passes by untouched."""

from __future__ import annotations

import codecs

import pytest

from rlstir_core.hostlogs.opening.encodings import utf8

TEXT = '{"EventID": 1, "User": "J\u00f6rg \u65e5\u672c \U0001f600"}\r\n' * 30


def read(raw: bytes, size: int) -> bytes:
    return b"".join(utf8(raw[at : at + size] for at in range(0, len(raw), size)))


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
    ],
)
def test_every_unicode_encoding_gives_the_same_text(mark: bytes, encoding: str, size: int) -> None:
    assert read(mark + TEXT.encode(encoding), size) == TEXT.encode()


@pytest.mark.parametrize(
    "raw", [b"", b"a", b"ab\0", b"caf\xe9 au lait\n", b"x" * 300 + b"\0" * 300, b"\0" * 64 + b"a\n"]
)
def test_what_is_no_utf_16_stays_as_it_is(raw: bytes) -> None:
    assert read(raw, 50) == raw


def test_half_a_character_at_the_end_is_replaced_not_fatal() -> None:
    assert read(codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"\x3d", 2) == "ab\ufffd".encode()
    assert read(codecs.BOM_UTF16_LE + b"\x3d\xd8", 100) == "\ufffd".encode()
