"""The log that the lab writes for a Windows host reads like one, and tells everything that happened."""

from __future__ import annotations

import copy
import io
import json
import tarfile
import time
import zipfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import windows_life as lives
import windows_recovery as recovery

from rlstir_core.episodes.reading.strict import parse_line
from rlstir_core.hostlogs.windows.dialects import nested_event
from rlstir_core.hostlogs.windows.field_names import ENVELOPE
from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.writers.windows.logs import MEMBER, write

life, SYSTEM32 = lives.life, lives.SYSTEM32

REAL = Path(__file__).parents[4] / "shared" / "real"
DIALECTS = ("dump", "beat")


def written(made: Any) -> dict[str, bytes]:
    return write(made.guest, made.boot, made.events, made.living, np.random.default_rng(11))


def records(dialect: str, rounds: int = 110) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(life(dialect, rounds))[MEMBER].splitlines()]


def envelope(record: dict[str, Any]) -> tuple[str, int, str, int]:
    """Channel, record id, time and event id of a record of either dialect."""
    if "winlog" in record:
        log = record["winlog"]
        return log["channel"], log["record_id"], record["@timestamp"], int(log["event_id"])
    system = record["Event"]["System"]
    event_id = system["EventID"]
    number = event_id["#text"] if isinstance(event_id, dict) else event_id
    return system["Channel"], system["EventRecordID"], system["TimeCreated"]["#attributes"]["SystemTime"], number


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_event_and_every_edge_is_found_again(dialect: str) -> None:
    made = life(dialect)
    found = recovery.recover(made.guest, made.boot, made.events, written(made))
    assert found.events == len(made.events) > 600
    assert found.share >= 0.99, found.missed
    assert found.edge_share >= 0.99 and found.edges > 300, found.missed
    assert found.processes_found >= 0.99 * found.processes, found.missed
    assert found.strays == 0


def test_recovery_notices_what_a_log_lacks() -> None:
    made = life("dump")
    lines = written(made)[MEMBER].splitlines(keepends=True)
    half = {MEMBER: b"".join(line for n, line in enumerate(lines) if n % 5)}
    found = recovery.recover(made.guest, made.boot, made.events, half)
    assert found.share < 0.95 and found.edge_share < 0.95 and found.missed
    later = [msgspec.structs.replace(event, t_ns=event.t_ns + 50_000_000) for event in made.events]
    assert recovery.recover(made.guest, made.boot, later, {MEMBER: b"".join(lines)}).share < 0.1
    for event in made.events:
        event.who.pid += 4
    assert recovery.recover(made.guest, made.boot, made.events, {MEMBER: b"".join(lines)}).share < 0.5


def test_the_stream_reuses_pids_within_seconds() -> None:
    last: dict[int, int] = {}
    waits = []
    for event in life("dump").events:
        if isinstance(event, ev.Exited):
            last[event.who.pid] = event.t_ns
        elif isinstance(event, ev.Started) and event.who.pid in last:
            waits.append(event.t_ns - last[event.who.pid])
    assert len(waits) > 30 and min(waits) < 100_000_000


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_same_arguments_give_the_same_bytes(dialect: str) -> None:
    assert written(life(dialect)) == written(life(dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_byte_tells_which_events_an_attack_made(dialect: str) -> None:
    made = life(dialect)
    plain = written(made)
    marked = copy.copy(made)
    marked.events = [msgspec.structs.replace(event, step=n % 5) for n, event in enumerate(made.events)]
    assert written(marked) == plain


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_line_is_strict_json(dialect: str) -> None:
    lines = written(life(dialect))[MEMBER].splitlines()
    assert len(lines) > 700
    for line in lines:
        found = parse_line(line, 32, most=1)
        assert not found.fault and len(found.objects) == 1, line


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_channel_counts_its_records_from_the_boots_number_in_the_order_of_time(dialect: str) -> None:
    made = life(dialect)
    numbers: dict[str, list[int]] = defaultdict(list)
    times = []
    for record in records(dialect):
        channel, number, stamp, _ = envelope(record)
        numbers[channel].append(number)
        times.append(stamp)
    assert times == sorted(times)
    assert {"Security", "System", "Microsoft-Windows-Sysmon/Operational"} <= set(numbers)
    for its in numbers.values():
        assert its == list(range(its[0], its[0] + len(its)))
    sysmon, others = made.boot.record_ids
    assert numbers["Microsoft-Windows-Sysmon/Operational"][0] == sysmon
    assert numbers["Security"][0] == others


@pytest.mark.parametrize("dialect", DIALECTS)
def test_sysmons_own_time_is_the_records_to_the_millisecond(dialect: str) -> None:
    n = 0
    for record in records(dialect):
        channel, _, stamp, _ = envelope(record)
        if "Sysmon" in channel:
            found = nested_event(record)
            assert found is not None
            assert found[0].fields["UtcTime"] == stamp[:23].replace("T", " ")
            assert found[0].fields["RuleName"] == "-"
            n += 1
    assert n > 300


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_logger_and_not_the_actor_executes(dialect: str) -> None:
    made = life(dialect, 30)
    loggers: dict[str, set[int]] = defaultdict(set)
    for record in records(dialect, 30):
        found = nested_event(record)
        assert found is not None
        loggers[envelope(record)[0]].add(int(str(found[0].envelope.execution_pid)))
    pids = {each.name: each.pid for each in made.living}
    assert loggers["Microsoft-Windows-Sysmon/Operational"] == {pids["Sysmon64.exe"]}
    assert loggers["Security"] <= {4, pids["lsass.exe"], pids["services.exe"]} | {
        each.pid for each in made.living if each.name == "svchost.exe"
    }


def test_both_reports_of_a_start_name_the_same_process_parent_and_command_line() -> None:
    sysmon, security = [], []
    for record in records("dump"):
        channel, _, _, number = envelope(record)
        data = record["Event"].get("EventData")
        if number == 1 and "Sysmon" in channel:
            sysmon.append((data["ProcessId"], data["ParentProcessId"], data["CommandLine"], data["Image"]))
        elif number == 4688:
            ids = int(data["NewProcessId"], 16), int(data["ProcessId"], 16)
            security.append((*ids, data["CommandLine"], data["NewProcessName"]))
    assert sysmon == security and len(sysmon) == 110


def test_process_guids_are_unique_and_begin_with_the_machine() -> None:
    made = life("beat")
    guids: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for record in records("beat"):
        data = record["winlog"].get("event_data", {})
        if "ProcessGuid" in data:
            guids[data["ProcessGuid"]].add((data["ProcessId"], data["Image"]))
    assert all(len(its) == 1 for its in guids.values())
    assert len(guids) > 100
    assert all(guid.startswith(f"{{{made.guest.machine_guid[:8].lower()}-") for guid in guids)


def test_an_image_of_another_build_has_other_hashes_and_no_resources() -> None:
    data_of = {}
    for record in records("dump"):
        channel, _, _, number = envelope(record)
        if number == 1 and "Sysmon" in channel:
            data = record["Event"]["EventData"]
            data_of[data["Image"]] = data
    assert data_of[f"{SYSTEM32}cmd.exe"]["OriginalFileName"] == "Cmd.Exe"
    assert data_of["C:\\Users\\Public\\a.exe"]["Company"] == "-"
    assert len({data["Hashes"] for data in data_of.values()}) == len(data_of)


def test_a_dropped_program_has_one_hash_when_it_runs_moves_and_is_deleted() -> None:
    made = life("beat", 0)
    shell, paths = made.shell, ("C:\\Users\\Public\\a.tmp", "C:\\ProgramData\\b.exe")
    made.note(ev.OnFile, shell, op="create", path=paths[0], build="c0de")
    made.note(ev.OnFile, shell, op="rename", path=paths[0], to=paths[1])
    made.end(made.start(shell, paths[1], paths[1], build="c0de"))
    made.note(ev.OnFile, shell, op="delete", path=paths[1])
    event_data = [json.loads(line)["winlog"].get("event_data", {}) for line in written(made)[MEMBER].splitlines()]
    found = [data["Hashes"] for data in event_data if "Hashes" in data]
    assert len(found) == 2 and found[0] == found[1]


def test_nothing_happens_in_an_empty_recording() -> None:
    made = life("dump", 0)
    assert written(made) == {MEMBER: b""}


def _real_evtx() -> dict[tuple[str, int], Counter[tuple[str, ...]]]:
    """The sets of fields, in order, of each event in real EVTX files."""
    import evtx

    found: dict[tuple[str, int], Counter[tuple[str, ...]]] = defaultdict(Counter)
    with tarfile.open(REAL / "evtx_mdecrevoisier.tar.xz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".evtx") else None
            if file is None or member.size > 300_000:
                continue
            for record in evtx.PyEvtxParser(io.BytesIO(file.read())).records_json():
                event = json.loads(record["data"])["Event"]
                data = event.get("EventData")
                number = event["System"]["EventID"]
                number = number["#text"] if isinstance(number, dict) else number
                if isinstance(data, dict) and data and "Data" not in data:
                    found[event["System"]["Channel"], int(number)][tuple(data)] += 1
    return found


def _real_nxlog() -> dict[tuple[str, int], Counter[tuple[str, ...]]]:
    """The same of JSON exports, whose fields have no order and stand among the record's own."""
    outside = ENVELOPE | {"AccountName", "Domain", "EventTypeOrignal", "ActivityID", "RelatedActivityID"}
    found: dict[tuple[str, int], Counter[tuple[str, ...]]] = defaultdict(Counter)
    for path in sorted((REAL / "mordor" / "windows" / "persistence").rglob("*.zip")) + sorted(
        (REAL / "mordor" / "windows" / "lateral_movement").rglob("schtask*.zip")
    ):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                for line in filter(None, archive.read(name).splitlines()):
                    record = json.loads(line)
                    fields = set(record) - outside
                    if {"EventReceivedTime", "EventType"} <= set(record):
                        fields.discard("EventType")
                    found[record["Channel"], int(record["EventID"])][tuple(sorted(fields))] += 1
    return found


def _ours() -> dict[tuple[str, int], tuple[str, ...]]:
    found: dict[tuple[str, int], tuple[str, ...]] = {}
    for record in records("dump"):
        channel, _, _, number = envelope(record)
        data = record["Event"].get("EventData")
        if data and len(data) > len(found.get((channel, number), ())):
            found[channel, number] = tuple(data)
    return found


@pytest.mark.skipif(not REAL.is_dir(), reason="the real Windows events lie outside the project")
@pytest.mark.parametrize("source", ["evtx", "nxlog"])
def test_events_have_the_fields_of_real_ones_in_their_order(source: str) -> None:
    real, ours = _real_evtx() if source == "evtx" else _real_nxlog(), _ours()
    both = sorted(each for each in set(real) & set(ours) if "Defender" not in each[0])  # that one the stream words
    assert len(both) >= 15
    for event in both:
        theirs = real[event].most_common(1)[0][0]
        missing = [name for name in theirs if name not in ours[event]]
        assert len(missing) <= 0.1 * len(theirs), (event, missing)
        if source == "evtx":
            assert [name for name in ours[event] if name in theirs] == [n for n in theirs if n in ours[event]], event


def test_an_event_is_written_within_tens_of_microseconds() -> None:
    made = life("beat", 200)
    begun = time.perf_counter()
    n = written(made)[MEMBER].count(b"\n")
    assert (time.perf_counter() - begun) / n < 200e-6  # 20 on an idle machine
