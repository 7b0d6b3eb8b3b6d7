"""Where entries begin and end: JSON over many lines, arrays, json-seq, json-sse, and what a crash left between."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from rlstir_core.hostlogs.journald.parser import SPEC
from rlstir_core.hostlogs.opening.recognise import recognise
from rlstir_core.hostlogs.schema import LogContext, LogRow


def entry(pid: int, **changed: object) -> dict[str, object]:
    at = str(1_714_557_600_000_000 + pid)
    return {"__REALTIME_TIMESTAMP": at, "_PID": str(pid), "_HOSTNAME": "web1", "MESSAGE": f'{{"n": [{pid}}}'} | changed


ENTRIES = [entry(1), entry(2, MESSAGE=[255, 10]), entry(3, TAGS=["a", "b"], MESSAGE="two\nlines")]
LINES = [json.dumps(each) for each in ENTRIES]
PRETTY = [json.dumps(each, indent="\t") for each in ENTRIES]
FORMS = {
    "lines": "\n".join(LINES),
    "pretty": "\n".join(PRETTY) + "\n",
    "pretty after a blank line and a note": "\ufeff\n-- Boot 3cbc --\n" + "\n".join(PRETTY),
    "indented": "\n".join(json.dumps(each, indent=4) for each in ENTRIES),
    "array": json.dumps(ENTRIES),
    "array over lines": json.dumps(ENTRIES, indent=2) + "\n",
    "array of lines": "[\n" + ",\n".join(LINES) + "\n]\n",
    "one behind the other": "".join(LINES),
    "two in a line": LINES[0] + "\n" + LINES[1] + LINES[2] + "\n",
    "json-seq": "".join(f"\x1e{each}\n" for each in LINES),
    "json-seq over lines": "".join(f"\x1e{each}\n" for each in PRETTY),
    "json-seq without lines": "".join(f"\x1e{each}" for each in LINES),
    "json-sse": "".join(f"data: {each}\n\n" for each in LINES),
    "json-sse with more": ": hello\nretry: 9\n\n" + "".join(f"id: 1\nevent: x\ndata:{each}\n\n" for each in LINES),
    "a hint that stderr left": "Hint: You are currently not seeing messages\n  from other users.\n" + "\n".join(LINES),
}


def read(log: str | bytes, chunk: int = 1 << 16, **context: Any) -> list[LogRow]:
    raw = log if isinstance(log, bytes) else log.encode()
    given = LogContext(**context)
    return list(SPEC.read((raw[at : at + chunk] for at in range(0, len(raw), chunk)), given))


def same(rows: list[LogRow]) -> list[tuple[object, ...]]:
    return [(row.ts_ns, row.pid, row.host, row.message, json.loads(row.fields_json)) for row in rows if row.parsed]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chunk", [3, 1 << 16])
def test_entries_are_the_same_however_they_are_printed(form: str, chunk: int) -> None:
    rows = read(FORMS[form], chunk)
    assert same(rows) == same(read("\n".join(LINES)))
    assert [row.pid for row in rows if row.parsed] == [1, 2, 3]
    assert sum(not row.parsed for row in rows) == (2 if form.startswith("a hint") else 0)
    assert recognise(FORMS[form].encode()).log == "journald"


def test_a_torn_entry_costs_only_itself() -> None:
    for log in (
        f"{PRETTY[0][:60]}\n{PRETTY[1]}\n{PRETTY[2][:50]}\n{PRETTY[0]}\n",
        f"\x1e{PRETTY[0][:60]}\n\x1e{PRETTY[1]}\n\x1e{PRETTY[2][:50]}\n\x1e{PRETTY[0]}\n",
        f"{LINES[0][:60]}\n{LINES[1]}\n{LINES[2][:50]}\n{LINES[0]}\n",
    ):
        assert [(row.parsed, row.pid) for row in read(log)] == [(False, -1), (True, 2), (False, -1), (True, 1)]


def test_strange_lines_between_printed_entries_are_rows_that_say_why() -> None:
    rows = read(f"{PRETTY[0]}\nrubbish\n\nmore\n{PRETTY[1]}\n")
    assert [row.parsed for row in rows] == [True, False, False, True]
    said = [json.loads(row.fields_json) for row in rows[1:3]]
    assert [(each["raw"], each["line"]) for each in said] == [("rubbish", 7), ("more", 9)]
    assert "not a JSON object" in said[0]["why"]


def test_an_entry_beyond_the_limit_is_cut_and_the_others_are_read() -> None:
    long = json.dumps(entry(9, MESSAGE="x" * 5000), indent=1)
    rows = read(f"{PRETTY[0]}\n{long}\n{PRETTY[2]}\n", line_bytes=1000)
    assert [(row.parsed, row.pid) for row in rows] == [(True, 1), (False, -1), (True, 3)]


@pytest.mark.parametrize("block", ["\0", "\0" * 7, "\0" * 5000])
def test_nul_bytes_that_a_crash_left_cost_no_entry(block: str) -> None:
    for log in (
        f"{LINES[0]}{block}\n{block}{LINES[1]}\n{block}",
        f"{block}{LINES[0]}\n{block}\n{LINES[1]}\n",
        f"{block}{PRETTY[0]}\n{block}{PRETTY[1]}{block}\n",
    ):
        assert [(row.parsed, row.pid) for row in read(log)] == [(True, 1), (True, 2)]


def export(pid: int, message: bytes = b"hello") -> bytes:
    binary = b"NOTE\n" + struct.pack("<Q", 5) + b"a\0\n\0b\n"
    return b"__CURSOR=s=%d\n_PID=%d\n_HOSTNAME=web1\n%sMESSAGE=%s\n\n" % (pid, pid, binary, message)


@pytest.mark.parametrize("block", [b"\0", b"\0" * 5000])
def test_nul_bytes_in_an_export_end_a_value_and_begin_nothing(block: bytes) -> None:
    rows = read(block + export(1) + block + export(2, b"hello" + block) + block + b"\n" + export(3))
    assert [(row.pid, row.message, row.cut) for row in rows] == [(pid, "hello", False) for pid in (1, 2, 3)]
    assert json.loads(rows[0].fields_json)["NOTE"] == "a\0\n\0b"
    torn = export(1)[:-4] + block + export(2)  # where the end of one and a block of NULs meet
    assert [(row.pid, row.message, row.cut) for row in read(torn)] == [(1, "hel", True), (2, "hello", False)]


def test_an_export_copied_with_carriage_returns_reads_the_same() -> None:
    log = b"__CURSOR=1\n_PID=5\nMESSAGE=x\n\n__CURSOR=2\n_PID=6\nMESSAGE=y\n\n"
    assert same(read(log.replace(b"\n", b"\r\n"))) == same(read(log)) != []


@pytest.mark.parametrize(
    "text",
    [
        "NAME=Debian\nVERSION_ID=12\nMESSAGE=x\n\n", "PATH=/bin\nHOME=/root\n", "[section]\nKEY=1\n", "A\nB\nC\n",
        '{"MESSAGE":"x","PRIORITY":"6","HOST":"h","PROGRAM":"sshd"}\n', '{"message":"x","host":"h","pid":1}\n',
        '{"EventID":1,"_PID":"1","_UID":"2"}\n', '{"winlog":{"event_id":1},"systemd":{"unit":"x"},"_PID":1}\n',
        '{"a":1}\n', "[1,2]\n", "{}\n", '{"MESSAGE":"x"}\n',
    ],
)  # fmt: skip
def test_what_does_not_carry_two_signs_of_the_journal_is_none_of_it(text: str) -> None:
    assert not any(row.parsed for row in read(text))
    assert recognise(text.encode()).log != "journald"
