"""The journal: JSON and export format, binary and repeated fields, clocks, and exports that are damaged."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import pytest

from rlstir_core.hostlogs.journald import parser as journald
from rlstir_core.hostlogs.schema import LogContext, LogRow

NEAR = 1_700_000_000 * 10**9
ENTRY = {
    "__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1700000000200000", "_SOURCE_REALTIME_TIMESTAMP": "1700000000100001",
    "_PID": "77", "_UID": "1000", "_EXE": "/usr/sbin/sshd", "_CMDLINE": "sshd: bob", "_COMM": "sshd",
    "_HOSTNAME": "Web.lab", "SYSLOG_IDENTIFIER": "sshd", "PRIORITY": "6",
    "MESSAGE_ID": "4d4408cfd0d144859184d1e65d7c8a65",
    "MESSAGE": "Failed password for root from 1.2.3.4 port 22 ssh2",
}  # fmt: skip


def rows(log: str | bytes, chunk: int = 1 << 20, limit: int = 1 << 20) -> list[LogRow]:
    raw = log if isinstance(log, bytes) else log.encode()
    context = LogContext(host="Here.lab", near_ns=NEAR, line_bytes=limit)
    return list(journald.rows((raw[at : at + chunk] for at in range(0, len(raw), chunk)), context))


def as_json(**changed: Any) -> str:
    return json.dumps(ENTRY | changed) + "\n"


def as_export(entry: dict[str, Any] | None = None, **changed: Any) -> bytes:
    out = b""
    for key, values in ((ENTRY if entry is None else entry) | changed).items():
        for value in values if isinstance(values, list) else [values]:
            raw = value if isinstance(value, bytes) else value.encode()
            plain = raw.isascii() and raw.decode().isprintable()
            out += key.encode() + (b"=" + raw if plain else b"\n" + struct.pack("<Q", len(raw)) + raw) + b"\n"
    return out + b"\n"


def fields(row: LogRow) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.fields_json)
    return found


def test_an_entry_gives_who_where_and_when_in_both_formats() -> None:
    (row,) = rows(as_json())
    assert rows(as_export()) == [row]
    assert (row.ts_ns, row.channel, row.host, row.host_said) == (
        1_700_000_000_100_001_000,
        "journald",
        "web",
        "Web.lab",
    )
    assert (row.pid, row.exe, row.cmdline, row.provider) == (77, "/usr/sbin/sshd", "sshd: bob", "sshd")
    assert (row.user, row.event_id) == ("root", "4d4408cfd0d144859184d1e65d7c8a65")
    assert row.message == ENTRY["MESSAGE"]
    found = fields(row)
    assert found.pop("said") == {"method": "password", "user": "root", "src_ip": "1.2.3.4", "src_port": "22"}
    assert found == ENTRY


def test_without_a_source_time_the_journals_counts_and_without_any_that_of_the_row_before() -> None:
    log = (
        as_json(_SOURCE_REALTIME_TIMESTAMP=None)
        + '{"MESSAGE":"x","_PID":"1"}\n'
        + as_json(_SOURCE_REALTIME_TIMESTAMP="-5")
    )
    late = as_json(_SOURCE_REALTIME_TIMESTAMP="9" * 17, __REALTIME_TIMESTAMP="٣")
    found = rows('{"MESSAGE":"first","_PID":"1"}\n' + log + late)
    journals = 1_700_000_000_200_000_000
    assert [row.ts_ns for row in found] == [NEAR, journals, journals, journals, journals]
    assert fields(found[1])["_SOURCE_REALTIME_TIMESTAMP"] is None


def test_a_user_that_no_message_names_is_the_uid() -> None:
    assert rows(as_json(MESSAGE="hello"))[0].user == "1000"


def test_bytes_are_text_where_they_can_be_and_hex_where_not() -> None:
    text, broken = "grüße\x1b", b"a\xff\x00b"
    by_json = rows(as_json(MESSAGE=list(text.encode())) + as_json(MESSAGE=list(broken)))
    by_export = rows(as_export(MESSAGE=text) + as_export(MESSAGE=broken))
    assert by_json == by_export
    assert [row.message for row in by_json] == ["grüße\\x1b", "a\\xff\\x00b"]
    assert [fields(row)["MESSAGE"] for row in by_json] == [text, {"hex": "61ff0062"}]


def test_a_field_with_several_values_keeps_them_all() -> None:
    values = ["one", "two", "three"]
    by_json, by_export = rows(as_json(MESSAGE=values)), rows(as_export(MESSAGE=values))
    assert by_json == by_export
    assert by_json[0].message == "one"
    assert fields(by_json[0])["MESSAGE"] == values
    mixed = rows(as_json(MESSAGE=["x", [255, 254]]))[0]
    assert fields(mixed)["MESSAGE"] == ["x", {"hex": "fffe"}]


def test_lost_and_suppressed_messages_are_counted() -> None:
    log = as_json(MESSAGE="Suppressed 321 messages from web.service") + as_json(MESSAGE="Missed 7 kernel messages")
    assert [fields(row)["lost"] for row in rows(log)] == [321, 7]


def test_audit_entries_have_their_record_type() -> None:
    row = rows(as_json(_AUDIT_TYPE_NAME="USER_LOGIN", _TRANSPORT="audit"))[0]
    assert row.event_id == "USER_LOGIN"


def test_json_seq_and_sse_are_json_too() -> None:
    plain = rows(as_json())
    assert rows("\x1e" + as_json()) == plain
    assert rows("data: " + as_json() + "\n") == plain
    assert rows("\ufeff\n" + as_json()) == plain


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_rows_do_not_depend_on_how_the_bytes_arrive(chunk: int) -> None:
    for log in ((as_json() + "rubbish\n" + as_json()).encode(), (as_export(MESSAGE="a\nb=c\n\n") + as_export()) * 2):
        assert rows(log, chunk) == rows(log)


def test_a_value_that_imitates_an_entry_stays_a_value() -> None:
    evil = "x\n\n__CURSOR=s=9\nMESSAGE=root was here\n_UID=0\n"
    (row,) = rows(as_export(MESSAGE=evil))
    assert fields(row)["MESSAGE"] == evil
    assert fields(row)["_UID"] == "1000"
    assert "\n" not in row.message
    assert rows(as_json(MESSAGE=evil)) == [row]


@pytest.mark.parametrize(
    "line",
    ["rubbish", "[1,2]", '{"a":', "{}x", '{"MESSAGE":"\\ud800"}', "[" * 100_000, '{"a":' * 100_000, "null", '"x"',
     "{" + ",".join(f'"k{n}":1' for n in range(2000)) + "}"],
    ids=lambda line: line[:9],
)  # fmt: skip
def test_a_line_that_is_no_entry_is_a_row_that_is_not_parsed(line: str) -> None:
    found = rows(as_json() + line + "\n" + as_json())
    assert [row.parsed for row in found] == [True, False, True]
    assert found[1].ts_ns == found[0].ts_ns
    assert fields(found[1])["raw"] == line


@pytest.mark.parametrize(
    "entry",
    ['{"_PID":{"a":1},"_EXE":7,"_HOSTNAME":[],"MESSAGE":[[1],[2]],"PRIORITY":true}',
     '{"MESSAGE":[[["x"]],3,null],"_PID":[[1]]}',
     '{"MESSAGE":{"hex":"zz"},"_HOSTNAME":[[1,"a"]]}', '{"MESSAGE":[1e300,300,-1],"_PID":-1e300}',
     '{"__REALTIME_TIMESTAMP":[[]],"_SOURCE_REALTIME_TIMESTAMP":{"hex":"00"},"@timestamp":[1e300],"_PID":[]}',
     '{"_PID":"99999999999999999999","_UID":null,"MESSAGE":[]}'],
)  # fmt: skip
def test_values_of_other_kinds_are_kept_and_never_raise(entry: str) -> None:
    (row,) = rows(entry + "\n")
    assert row.parsed
    assert row.pid == -1


def test_a_line_of_ten_megabytes_is_cut_and_the_rest_is_read() -> None:
    found = rows(as_json(MESSAGE="x" * (10 << 20)) + as_json())
    assert [row.parsed for row in found] == [False, True]
    assert len(found[0].message) < 5000


def test_an_export_value_beyond_the_limit_is_cut_and_named() -> None:
    for value in ("x" * 5000, "x\n" * 2500):
        first, second = rows(as_export(MESSAGE=value) + as_export(), limit=1000)
        assert value.startswith(fields(first)["MESSAGE"])
        assert len(fields(first)["MESSAGE"]) in (1000, 1000 - len("MESSAGE="))
        assert fields(first)["cut"] == ["MESSAGE"]
        assert second.message == ENTRY["MESSAGE"]


def test_an_entry_with_endless_fields_stays_bounded() -> None:
    (row,) = rows(b"_UID=0\nMESSAGE=x\n" + b"".join(b"K%d=" % n + b"x" * 900 + b"\n" for n in range(5000)), limit=1000)
    assert len(row.fields_json) < 30_000
    assert fields(row)["cut"]


@pytest.mark.parametrize(
    ("damage", "n_after"),
    [
        (b"MESSAGE\n" + struct.pack("<Q", 2**63) + b"x\n\n", 1),
        (b"MESSAGE\n" + struct.pack("<Q", 3) + b"abcdef\n\n", 1),
        (b"not a field\n\n", 1), (b"lower=1\n\n", 1), (b"MESSAGE\n" + struct.pack("<Q", 500 << 20) + b"x\n\n", 0),
        (b"MESSAGE\n\x01", 0),
    ],
)  # fmt: skip
def test_a_damaged_entry_is_a_row_that_is_not_parsed_and_reading_goes_on(damage: bytes, n_after: int) -> None:
    found = rows(as_export() + b"__CURSOR=s=3\n_PID=5\n" + damage + as_export())
    assert [row.parsed for row in found] == [True, False] + [True] * n_after
    assert "_PID=5" in fields(found[1])["raw"]


def test_an_entry_begins_at_its_cursor_even_without_a_blank_line() -> None:
    assert len(rows(as_export()[:-1] + as_export())) == 2
    assert len(rows(as_export() + b"\n\n\n" + as_export()[:-2])) == 2


def test_an_empty_journal_has_no_rows() -> None:
    assert rows("") == rows("\n\n") == rows("-- No entries --\n") == []


def test_mutated_journals_never_raise() -> None:
    rng = random.Random(4)
    for base in ((as_json() + as_json(MESSAGE=[1, 255])).encode(), as_export() + as_export(MESSAGE="a\nb")):
        for _ in range(1000):
            raw = bytearray(base)
            for _ in range(rng.randint(1, 6)):
                raw[rng.randrange(len(raw))] = rng.choice(b'\x00\xff\n={}[]",:\\u0_A9')
            for row in rows(bytes(raw), limit=4096):
                json.loads(row.fields_json)
                row.message.encode()
