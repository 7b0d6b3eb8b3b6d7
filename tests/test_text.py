"""Text that nobody vouches for, in each place where it is shown or kept."""

from __future__ import annotations

import pyarrow as pa
import pytest

from rlstir_core.text import (
    decoded,
    drawable,
    escape_md,
    one_line,
    plain,
    printable,
    shortened,
    shown,
    storable,
)

HOSTILE = "a\x1b[31m\u202eb\u200b\nc\x00|<i>\ud800é"


def test_a_terminal_line_shows_what_is_unseen_and_stays_one_line() -> None:
    assert plain(HOSTILE) == "a\\x1b[31m\\u202eb\\u200b c\\x00|<i>\\ud800é"
    assert plain("x" * 5_000) == "x" * 1_999 + "…" and plain("x" * 9, 4) == "xxx…"
    assert plain(ValueError("no\nway")) == "no way"


def test_an_underscore_inside_a_name_is_left_readable_in_markdown() -> None:
    assert escape_md("infected_running") == "infected_running"
    assert escape_md("gbt_realistic 0.5") == "gbt_realistic 0.5"
    assert escape_md("# x") == "\\# x" and escape_md("1. x") == "1\\. x" and escape_md("- x") == "\\- x"
    assert len(escape_md("x" * 500)) == 200


def test_markdown_has_no_markup_and_no_unseen_character_of_the_text() -> None:
    assert escape_md(HOSTILE) == "a \\[31m b c \\|&lt;i&gt; é"
    assert escape_md("[x](http://h/) me@h www.h") == "\\[x\\](http\\://h/) me\\@h www\\.h"


def test_a_picture_holds_short_ascii() -> None:
    assert drawable("a\u202e\n$b" + "c" * 99, 10) == "a $bcccc.."
    assert drawable(HOSTILE) == "a [31m b c |<i>"
    assert shortened("abcdef", 5) == "abc.." and shortened("abcde", 5) == "abcde"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\x00b", "'a\\x00b'"),
        (b"a\xff", "b'a\\xff'"),
        (None, "None"),
        (1.5, "1.5"),
        (2**200, "a value of type int"),
        ([1], "a value of type list"),
    ],
)
def test_a_value_in_a_sentence_is_short_printable_ascii(value: object, text: str) -> None:
    assert shown(value) == text
    assert len(shown("\u202e" * 500)) <= 123


def test_a_detail_is_bounded_printable_ascii() -> None:
    assert printable("plain text") == "plain text"
    assert printable("a\u202eb\n") == "a\\u202eb\\u000a"
    assert len(printable("é" * 999)) == len(printable("e" * 999)) == 600


def test_a_message_of_a_log_keeps_its_letters_on_one_line() -> None:
    assert one_line("café\tx") == "café\tx"
    assert one_line(HOSTILE) == "a\\x1b[31m\u202eb\u200b\\x0ac\\x00|<i>\\xd800é"
    assert one_line("x" * 9, 4) == "xxxx…"


def test_bytes_and_lone_surrogates_become_text_that_can_be_kept() -> None:
    assert decoded("é".encode()) == "é" and decoded(b"a\xffb") == "a\\xffb"
    assert pa.array([storable(HOSTILE)], pa.string())[0].as_py().endswith("\\ud800é")
