"""Audit records and events against the golden files of go-libaudit (Apache-2.0). Skipped where they are absent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.hostlogs.auditd import parser as audit
from rlstir_core.hostlogs.auditd.event import Assembler
from rlstir_core.hostlogs.auditd.pairs import PairReader
from rlstir_core.hostlogs.auditd.record import AuditRecord, parse
from rlstir_core.hostlogs.schema import LogContext, LogRow

REAL = Path(__file__).parents[4] / "shared" / "real"
GO = REAL / "linux_audit_golibaudit"
IZYSEC = REAL / "linux_audit_izysec"
needs_go = pytest.mark.skipif(not GO.exists(), reason="../shared/real/linux_audit_golibaudit is not there")
needs_izysec = pytest.mark.skipif(not IZYSEC.exists(), reason="../shared/real/linux_audit_izysec is not there")
USELESS = ("", "?", "?,", "(null)")
PARTS = ("user", "role", "domain", "level", "category")


def records(lines: list[str]) -> Iterator[AuditRecord]:
    reader = PairReader()
    for line in lines:
        record = parse(line.encode(), reader)
        if isinstance(record, AuditRecord):
            yield record


def golden_form(record: AuditRecord) -> dict[str, str]:
    """A record as go-libaudit's `auparse` shows it."""
    data = {key: value for key, value in (record.fields | record.message_fields).items() if value not in USELESS}
    if match := re.match(r"avc: (\w+) \{ (.*) \} for", record.text):
        data |= {"seresult": match[1], "seperms": match[2].replace(" ", ",")}
    for key in ("auid", "old-auid", "ses"):
        if data.get(key) in ("4294967295", "-1"):
            data[key] = "unset"
    for key in ("subj", "obj"):
        if key == "subj" or record.type == "PATH":
            for part, value in zip(PARTS, data.pop(key, "").split(":", 4), strict=False):
                if value:
                    data[f"{key}_{part}"] = value
    if result := audit.result_of(record):
        data.pop("success", data.pop("res", ""))
        data["result"] = result
    if "exit" in data:
        data["exit"] = audit.exit_of(data["exit"])
    if record.type == "SYSCALL":
        data["arch"], data["syscall"] = audit.names_of(record)
    if "proctitle" in data:
        data["proctitle"] = data["proctitle"].rstrip("\0").replace("\0", " ")
    if record.type == "SOCKADDR":
        data |= golden_address(data.pop("saddr"))
    data.pop("key", "")
    return data


def golden_address(saddr: str) -> dict[str, str]:
    found = audit.from_bytes(saddr)
    family = str(found["family"])
    shown = {"inet": "ipv4", "inet6": "ipv6", "unspec": "0"}.get(family, family)
    if family in ("netlink", "unspec"):
        return {"family": shown, "saddr": saddr}
    return {"family": shown} | {key: str(value) for key, value in found.items() if key != "family"}


def ns(text: str) -> int:
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(at.timestamp()) * 10**9 + at.microsecond * 1000


def rows_of(text: str, chunk: int = 1 << 16) -> list[LogRow]:
    raw = text.encode()
    return list(audit.rows((raw[at : at + chunk] for at in range(0, len(raw), chunk)), LogContext(host="web-1")))


GOLDEN_LOGS = ["test2.log", "audit-rhel7.log", "audit-ubuntu14.log", "audit-ubuntu16.log"]


@needs_go
@pytest.mark.parametrize("name", GOLDEN_LOGS)
def test_every_record_equals_the_golden_parse(name: str) -> None:
    golden = [record for record in json.loads((GO / f"{name}.golden").read_text()) if record]
    found = list(records((GO / name).read_text().split("\n")))
    assert len(found) == len(golden)
    for record, wanted in zip(found, golden, strict=True):
        assert record.ts_ns == ns(wanted["@timestamp"]), wanted["raw_msg"]
        assert (record.type.lower(), record.serial) == (wanted["record_type"], wanted["sequence"])
        assert golden_form(record) == wanted["data"], wanted["raw_msg"]


def cases() -> list[Any]:
    found = []
    for path in sorted((GO / "aucoalesce").glob("*.yaml")):
        golden = json.loads(path.with_suffix(".json.golden").read_text())
        # a mapping of names to block texts is all these files hold
        texts = dict(re.findall(r"^  (\S[^\n]*): \|\n((?:    [^\n]*\n?|\n)+)", path.read_text(), re.MULTILINE))
        assert len(texts) == len(golden)
        found += [pytest.param(case["event"], texts[case["test_name"]], id=case["test_name"]) for case in golden]
    return found


@needs_go
@pytest.mark.parametrize(("wanted", "text"), cases() if GO.exists() else [])
def test_every_event_equals_the_golden_merge(wanted: dict[str, Any], text: str) -> None:
    (row,) = rows_of("\n".join(line.strip() for line in text.split("\n")))
    fields = json.loads(row.fields_json)
    assert row.ts_ns == ns(wanted["@timestamp"])
    assert fields["serial"] == wanted["sequence"]
    assert row.event_id.lower() == wanted["record_type"]
    assert fields["result"] == wanted["result"]
    assert fields.get("keys", []) == wanted.get("tags", [])
    process, data = wanted["process"], wanted.get("data", {})
    # of the pairs that two records share go-libaudit keeps one; ours stay in their records
    assert str(row.pid) == process.get("pid", "-1")
    assert str(row.ppid) == process.get("ppid", "-1")
    assert row.exe == process.get("exe", "")
    assert fields.get("args", []) == process.get("args", [])
    assert fields.get("title", "") == process.get("title", "")
    assert fields.get("cwd", "") == process.get("cwd", "")
    assert row.user == wanted["user"]["ids"].get("uid", "")
    if "syscall" in data:
        assert (fields["syscall"], fields["arch"], fields["exit"]) == (data["syscall"], data["arch"], data["exit"])
        assert fields["comm"] == process["name"]
    for ours, theirs in zip(fields.get("paths", []), wanted.get("paths", []), strict=True):
        assert (ours["path"], ours["nametype"]) == (theirs["name"], theirs.get("nametype") or theirs["objtype"])
        assert (ours.get("inode"), ours.get("mode")) == (theirs.get("inode"), theirs.get("mode"))
    assert fields.get("sockaddr", {}).get("addr") == data.get("socket_addr")
    assert str(fields.get("sockaddr", {}).get("port", "")) == data.get("socket_port", "")
    everything: dict[str, str] = {}
    for record in records([line.strip() for line in text.split("\n")]):
        everything = golden_form(record) | everything
    for key, value in data.items():
        if not key.startswith("socket_"):
            assert everything[key] == value


@needs_go
@pytest.mark.parametrize(("name", "missing"), [("normal.log", 0), ("out_of_order.log", 0), ("lost_messages.log", 9)])
def test_interleaved_and_lost_records_make_the_same_events(name: str, missing: int) -> None:
    def events(log: str) -> list[dict[str, Any]]:
        return [json.loads(row.fields_json) for row in rows_of((GO / log).read_text())]

    found, normal = events(name), events("normal.log")
    assert [event["serial"] for event in found[1:]] == [event["serial"] for event in normal[1:]]
    assert sum(event.pop("missing", 0) for event in found) == missing
    assert [event["paths"] for event in found[1:4]] == [event["paths"] for event in normal[1:4]]
    assert [event["args"] for event in found[1:3]] == [event["args"] for event in normal[1:3]]
    assembler = Assembler()
    for record in records((GO / name).read_text().split("\n")):
        assembler.feed(record, 100)
    assembler.finish()
    assert assembler.n_missing == missing


@needs_izysec
def test_every_raw_and_interpreted_record_of_the_detection_cases_parses() -> None:
    n_records = 0
    for path in sorted(IZYSEC.glob("U*.log")):
        for line in path.read_text().splitlines():
            record = parse(line.encode(), PairReader())
            if line.startswith("type="):
                assert isinstance(record, AuditRecord), (path.name, line)
                assert record.fields
                n_records += 1
    assert n_records > 250


@needs_izysec
@pytest.mark.parametrize("case", ["UC002", "UC008", "UC012", "UC014", "UC016"])
def test_interpreted_output_tells_what_the_raw_log_tells(case: str) -> None:
    def told(name: str) -> list[Any]:
        found = []
        for row in rows_of((IZYSEC / name).read_text()):
            fields = json.loads(row.fields_json)
            if row.parsed:
                paths = [(path["path"], path["nametype"], path["inode"]) for path in fields.get("paths", [])]
                found.append(
                    (row.event_id, row.pid, row.ppid, row.exe, row.cmdline, fields["syscall"], fields["serial"])
                )
                found.append((fields["exit"], fields["result"], fields.get("cwd"), paths, fields.get("args")))
                address = fields.get("sockaddr", {})
                found.append((address.get("addr"), address.get("port"), fields["keys"]))
        return found

    assert told(f"{case}.log") == told(f"{case}_enriched.log") != []


@needs_izysec
def test_the_interpreted_clock_is_local_and_says_so() -> None:
    raw = next(row for row in rows_of((IZYSEC / "UC002.log").read_text()) if row.parsed)
    local = next(row for row in rows_of((IZYSEC / "UC002_enriched.log").read_text()) if row.parsed)
    assert raw.ts_ns - local.ts_ns == 8 * 3600 * 10**9
    assert json.loads(local.fields_json)["local_time"] is True
    assert "local_time" not in json.loads(raw.fields_json)
    assert (raw.user, local.user) == ("1000", "izy")
