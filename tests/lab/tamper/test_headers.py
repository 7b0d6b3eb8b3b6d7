"""Headers of EVTX records after tampering, in three ways, and notices that hosts word differently."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.times.spelled import parse_time
from rlstir_core.lab.tamper.apply import tampered

T0 = 1_714_564_800
MEMBER = "logs/sysmon.jsonl"


def stamp(second: float) -> str:
    whole = int(second)
    return f"2024-05-01T12:{whole // 60:02d}:{whole % 60:02d}.{round(second % 1 * 10**7):07d}Z"


def export(n: int = 40, host: str = "h", live: bool = False) -> bytes:
    seconds = np.cumsum(np.random.default_rng(1).uniform(0.5, 5, n + 1))
    lines = []
    for k in range(n):
        system = {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing"}},
            "EventID": 4624,
            "TimeCreated": {"#attributes": {"SystemTime": stamp(seconds[k])}},
            "EventRecordID": 900 + k,
            "Channel": "Security",
            "Computer": host,
        }
        header = {"EventRecordID": 900 + k if live else k + 1, "TimeWritten": stamp(seconds[k if live else k + 1])}
        lines.append(json.dumps({"RecordHeader": header, "Event": {"System": system, "EventData": {"n": str(k)}}}))
    return "\n".join(lines).encode() + b"\n"


def run(operator: str, headers: str, **more: Any) -> list[dict[str, Any]]:
    made = tampered({MEMBER: export(**more)}, operator, np.random.default_rng(5), headers=headers)
    return [json.loads(line) for line in made.logs[MEMBER].splitlines()]


def own(record: dict[str, Any]) -> int:
    return ns(record["Event"]["System"]["TimeCreated"]["#attributes"]["SystemTime"])


def written(record: dict[str, Any]) -> int:
    return ns(record["RecordHeader"]["TimeWritten"])


def ns(text: str) -> int:
    parsed = parse_time(text)
    assert parsed is not None
    return parsed[0]


def broken(records: list[dict[str, Any]]) -> int:
    """Headers that do not say the time of the record behind them."""
    return sum(written(one) != own(other) for one, other in pairwise(records))


def test_headers_stay_where_an_editor_leaves_them_move_with_the_events_or_are_mended() -> None:
    before = [json.loads(line) for line in export().splitlines()]
    assert broken(before) == 0
    left = run("clock_step", "left")
    assert [written(each) for each in left] == [written(each) for each in before]
    moved = run("clock_step", "moved")
    assert [own(each) for each in moved] == [own(each) for each in left] != [own(each) for each in before]
    assert 0 < broken(moved) < broken(left)
    assert broken(run("clock_step", "repaired")) == 0


@pytest.mark.parametrize("operator", ["drop_rows", "drop_renumber", "inject_decoys", "clear_log_event", "jitter"])
def test_mended_headers_count_on_and_say_the_time_of_the_next_record(operator: str) -> None:
    records = run(operator, "repaired")
    assert [each["RecordHeader"]["EventRecordID"] for each in records] == list(range(1, len(records) + 1))
    assert broken(records) == 0
    assert broken(run(operator, "moved")) > 0 or operator == "clear_log_event"


def test_a_live_log_has_no_headers_to_mend_and_an_unknown_way_is_refused() -> None:
    assert run("drop_rows", "repaired", live=True) == run("drop_rows", "moved", live=True)
    with pytest.raises(ConfigError, match="known are moved, left, repaired"):
        run("jitter", "mended")


def test_hosts_word_their_notices_differently_and_each_host_always_alike() -> None:
    def said(host: str) -> str:
        records = run("clear_log_event", "moved", host=host)
        (notice,) = (each["Event"] for each in records if each["Event"]["System"]["EventID"] == 1102)
        return str(notice["UserData"]["LogFileCleared"]["SubjectUserName"])

    assert {said(f"host-{k}") for k in range(8)} == {"SYSTEM", "Administrator"}
    assert said("host-3") == said("host-3")
