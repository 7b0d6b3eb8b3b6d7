"""EVTX: every record of real files, both ids and clocks, and damage that costs no more than it must."""

from __future__ import annotations

import io
import json
import random
import tarfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from evtx import PyEvtxParser

from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.times.spelled import parse_time
from rlstir_core.hostlogs.windows import json_events
from rlstir_core.hostlogs.windows.evtx import rows

ARCHIVE = Path(__file__).parents[4] / "shared" / "real" / "evtx_mdecrevoisier.tar.xz"
needs_files = pytest.mark.skipif(not ARCHIVE.exists(), reason="../shared/real/evtx_mdecrevoisier is not there")
CHUNK = 65536
HEADER = 4096
# any of these names in EventData or UserData, in any case, says the process; kept apart from the mapping on purpose
PIDS = {"processid", "newprocessid", "sourceprocessid", "clientprocessid", "callerprocessid", "enginepid"}
EXES = {
    *("image", "newprocessname", "processname", "application", "sourceimage", "callerprocessname", "processpath"),
    *("process name", "modifyingapplication", "hostprocess", "process"),
}


@cache
def files() -> dict[str, bytes]:
    with tarfile.open(ARCHIVE) as archive:
        members = [member for member in archive if member.name.endswith(".evtx")]
        return {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]


@cache
def large() -> bytes:
    """The file with the most records: 1,023 in 17 chunks."""
    return next(raw for name, raw in files().items() if "TA0002" in name and "ID4688-5145-WMIexec" in name)


def read(raw: bytes, **limits: Any) -> list[LogRow]:
    return list(rows((raw[at : at + 10_000] for at in range(0, len(raw), 10_000)), LogContext(name="x"), **limits))


def counts(raw: bytes) -> tuple[int, int]:
    found = read(raw)
    return sum(row.parsed for row in found), sum(not row.parsed for row in found)


def field_names(data: object) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            if isinstance(value, (dict, list)):
                yield from field_names(value)
            elif value not in ("", "-", None):
                yield key.lower()
    elif isinstance(data, list):
        for item in data:
            yield from field_names(item)


def header_differs(row: LogRow) -> tuple[bool, bool]:
    """Whether the record's header and its event name other ids, and times more than a second apart."""
    record = json.loads(row.fields_json)
    header, system = record["RecordHeader"], record["Event"]["System"]
    own_id = system.get("EventRecordID")
    own = parse_time(system["TimeCreated"]["#attributes"]["SystemTime"])
    written = parse_time(header["TimeWritten"])
    times = own is not None and written is not None and abs(own[0] - written[0]) > 10**9
    return own_id is not None and str(own_id) != str(header["EventRecordID"]), times


@needs_files
def test_every_record_of_281_files_is_a_row_with_its_process() -> None:
    assert len(files()) == 281
    found = [row for raw in files().values() for row in read(raw)]
    assert len(found) == sum(row.parsed for row in found) == 10_015
    n_pid = n_exe = 0
    for row in found:
        record = json.loads(row.fields_json)
        event = record["Event"]
        names = {name for part in ("EventData", "UserData") for name in field_names(event.get(part))}
        n_pid, n_exe = n_pid + bool(names & PIDS), n_exe + bool(names & EXES)
        assert row.pid >= 0 or not names & PIDS, record
        assert row.exe or not names & EXES, record
        assert row.host and row.provider and row.event_id and row.message and row.ts_ns > 0
        assert set(record["RecordHeader"]) == {"EventRecordID", "TimeWritten"}
    assert (n_pid, n_exe) == (3_942, 2_742)
    apart = [header_differs(row) for row in found]
    assert [sum(ids for ids, _ in apart), sum(times for _, times in apart)] == [9_971, 1_862]
    assert [row.clock_mismatch for row in found] == [ids or times for ids, times in apart]
    assert sum(row.clock_mismatch for row in found) == 9_972


@needs_files
def test_the_time_of_a_row_is_the_events_and_not_the_headers() -> None:
    name = next(name for name in files() if "4698" in name)
    for row in read(files()[name]):
        record = json.loads(row.fields_json)
        event_time = record["Event"]["System"]["TimeCreated"]["#attributes"]["SystemTime"]
        assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(row.ts_ns // 10**9)) == event_time[:19]


@needs_files
@pytest.mark.parametrize(
    ("at", "noise", "least", "faults"),
    [
        (HEADER + CHUNK + 100, b"\xff" * 200, 925, 1),  # a chunk's tables
        (HEADER + 2 * CHUNK, bytes(8), 933, 1),  # a chunk's magic
        (HEADER + 3 * CHUNK + 8000, b"\xff" * 200, 939, 2),  # a record, and with it the rest of its chunk
        (HEADER + CHUNK + 20_000, bytes(8), 1022, 1),  # inside a record
    ],
)
def test_damage_costs_its_record_or_chunk_and_is_counted(at: int, noise: bytes, least: int, faults: int) -> None:
    raw = large()[:at] + noise + large()[at + len(noise) :]
    found = read(raw)
    assert (sum(row.parsed for row in found), sum(not row.parsed for row in found)) == (least, faults)
    assert found[0].parsed and found[-1].parsed, "rows before and after come out"
    assert all(row.message and json.loads(row.fields_json)["why"] for row in found if not row.parsed)


@needs_files
def test_a_truncated_file_gives_what_it_still_holds_and_says_so() -> None:
    whole = [row.fields_json for row in read(large())]
    found = read(large()[: HEADER + 2 * CHUNK + 30_000])
    kept = [row.fields_json for row in found if row.parsed]
    assert len(kept) > 200, "the records of the cut chunk as well"
    assert kept == whole[: len(kept)]
    assert "ends inside a chunk" in found[-1].message and not found[-1].parsed
    assert found[-1].ts_ns == found[-2].ts_ns


@needs_files
def test_random_damage_never_raises_and_never_hangs() -> None:
    start = time.process_time()
    for seed in range(40):
        dice = random.Random(seed)
        raw = bytearray(large()[: HEADER + 4 * CHUNK])
        for _ in range(dice.choice([1, 20, 2000])):
            raw[dice.randrange(8, len(raw))] = dice.randrange(256)
        read(bytes(raw))
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    "raw", [b"", b"ElfFile\0", bytes(100_000), b"\xff" * 100_000, b"ElfFile\0" + bytes(200_000), b"{}" * 5000]
)
def test_what_is_no_evtx_is_one_or_two_rows_that_are_not_parsed(raw: bytes) -> None:
    parsed, faults = counts(raw)
    assert parsed == 0
    assert 1 <= faults <= 8


def test_a_file_over_the_limit_is_refused_in_a_row_and_not_kept() -> None:
    (row,) = rows((b"x" * 1000 for _ in range(10**9)), LogContext(host="WS1.lab.local"), limit=10_000)
    assert (row.parsed, row.host) == (False, "ws1")
    assert "larger than 10000 bytes" in row.message


APART = {"fields_json", "clock_mismatch"}  # what only a file of records has
MADE = {"message", "template"}


def columns(row: LogRow, without: set[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__ if name not in without}


@needs_files
def test_the_packages_json_gives_the_rows_of_the_file() -> None:
    n = 0
    for name, raw in files().items():
        texts = [json.dumps(json.loads(each["data"])) for each in PyEvtxParser(io.BytesIO(raw)).records_json()]
        lines = list(json_events.rows(["\n".join(texts).encode()], LogContext()))
        for ours, theirs in zip(read(raw), lines, strict=True):
            # the file's reader looks for fields in EventData and UserData alone
            without = APART if "=" in ours.message else APART | MADE
            assert columns(ours, without) == columns(theirs, without), name
            n += 1
    assert n == 10_015
