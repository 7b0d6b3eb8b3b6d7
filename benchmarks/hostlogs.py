"""Reading host logs: Windows JSON against json + pandas, EVTX against the bare iterator of the `evtx` package, and
audit, journal and syslog logs (`text_logs.py`) against patterns or JSON and a pandas table.

One run, CPU time, median of interleaved rounds, on ../shared/real where it is there, else on events made here. The
logs of Windows JSON are read as one, for pandas loads one table faster than many. Both readers of a format must find
the same number of events; how far they agree on what is in them is printed. Usage: python -m benchmarks.hostlogs
[--quick]
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from evtx import PyEvtxParser

from benchmarks.text_logs import parts
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.windows import evtx
from rlstir_core.hostlogs.windows import json_events as windows_json

REAL = Path(__file__).parents[2] / "shared" / "real"
BAR_JSON = 5.0
BAR_EVTX = 0.8
_TIMES = ("EventTime", "TimeCreated", "@timestamp")


def windows_json_logs(every: int) -> list[bytes]:
    """Real exports, or made ones where those are absent."""
    logs = []
    for path in sorted((REAL / "mordor").glob("windows/**/*.zip"))[::every]:
        with zipfile.ZipFile(path) as archive:
            logs += [archive.read(name) for name in archive.namelist() if not name.endswith("/")]
    return logs or [made_log(5_000, seed) for seed in range(4)]


def made_log(n: int, seed: int) -> bytes:
    """Sysmon events of three kinds, flattened as nxlog does."""
    lines = []
    for i in range(n):
        at = f"2024-05-06 {i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}"
        event = {
            "EventTime": at,
            "Hostname": "WS1.lab.local",
            "SourceName": "Microsoft-Windows-Sysmon",
            "EventID": (1, 11, 13)[(i + seed) % 3],
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "UtcTime": f"{at}.{i % 1000:03}",
            "ProcessId": str(1000 + i % 977),
            "Image": rf"C:\Program Files\App{i % 31}\app.exe",
        }
        kind = event["EventID"]
        if kind == 1:
            event |= {"CommandLine": f"app.exe --job {i}", "ParentProcessId": str(i % 977), "User": r"LAB\anna"}
        else:
            event |= {"TargetFilename" if kind == 11 else "TargetObject": rf"C:\Users\anna\f{i}.txt"}
        event["Message"] = "\r\n".join(f"{key}: {value}" for key, value in event.items()) * 3
        lines.append(json.dumps(event))
    return "\n".join(lines).encode()


def evtx_logs() -> list[bytes]:
    """Every EVTX file of the shared archive; empty where it is absent, for such a file cannot be made here."""
    path = REAL / "evtx_mdecrevoisier.tar.xz"
    if not path.exists():
        return []
    with tarfile.open(path) as archive:
        return [
            handle.read()
            for member in archive
            if member.name.endswith(".evtx") and (handle := archive.extractfile(member))
        ]


def obvious_json(log: bytes) -> pd.DataFrame:
    """The same rows as most people would make them: json per line, a DataFrame, and its columns brought together."""
    lines = [line for line in log.split(b"\n") if line.strip()]
    frame = pd.DataFrame([json.loads(line) for line in lines])
    rows = pd.DataFrame(index=frame.index)
    rows["time"] = pd.to_datetime(_first_of(frame, *_TIMES), utc=True, format="mixed")
    rows["host"] = _first_of(frame, "Hostname", "Computer", "host").astype(str).str.lower().str.split(".").str[0]
    rows["provider"] = _first_of(frame, "SourceName", "ProviderName", "Channel")
    rows["event_id"] = _first_of(frame, "EventID").astype(str)
    rows["pid"] = _first_of(frame, "NewProcessId", "SourceProcessId", "ProcessId").map(_number)
    creator = frame["ProcessId"].where(rows["event_id"] == "4688") if "ProcessId" in frame else None
    rows["ppid"] = _first_of(frame, "ParentProcessId").fillna(creator).map(_number)
    rows["exe"] = _first_of(frame, "NewProcessName", "SourceImage", "Image", "ProcessName", "Application")
    rows["cmdline"] = _first_of(frame, "CommandLine", "ProcessCommandLine")
    names, domains = _first_of(frame, "SubjectUserName", "TargetUserName"), _first_of(frame, "SubjectDomainName")
    rows["user"] = _first_of(frame, "User").fillna(domains.astype(str) + "\\" + names.astype(str))
    rows["sid"] = _first_of(frame, "SubjectUserSid", "TargetUserSid", "UserID")
    rows["message"] = _first_of(frame, "Message")
    rows["fields_json"] = [line.decode() for line in lines]
    return rows


def _first_of(frame: pd.DataFrame, *names: str) -> pd.Series:
    """The first of some columns that has a value."""
    found = pd.Series(None, index=frame.index, dtype=object)
    for name in names:
        if name in frame:
            found = found.where(found.notna(), frame[name])
    return found


def _number(value: object) -> int:
    try:
        return int(str(value), 0)
    except ValueError:
        return -1


def our_json(log: bytes) -> list[LogRow]:
    """The project's reader."""
    return [row for row in windows_json.rows(_chunks(log), LogContext()) if row.parsed]


def agreement(log: bytes) -> dict[str, float]:
    """The share of rows in which both readers of Windows JSON name the same host, event, process and image."""
    theirs, ours = obvious_json(log), our_json(log)
    shares = {}
    for name in ("host", "event_id", "pid", "exe"):
        column = theirs[name].fillna("")
        same = [getattr(row, name) == value for row, value in zip(ours, column, strict=True)]
        shares[name] = round(statistics.mean(same), 4)
    return shares


def bare_evtx(log: bytes) -> int:
    """The library's records, not looked into."""
    return sum(1 for _ in PyEvtxParser(io.BytesIO(log)).records_json())


def obvious_evtx(log: bytes) -> int:
    """What most people would write on top of it."""
    records = (record for record in PyEvtxParser(io.BytesIO(log)).records_json() if record is not None)
    frame = pd.json_normalize([json.loads(record["data"]) for record in records])
    frame["time"] = pd.to_datetime(frame["Event.System.TimeCreated.#attributes.SystemTime"], utc=True, format="mixed")
    return len(frame)


def our_evtx(log: bytes) -> int:
    """The project's reader."""
    return sum(row.parsed for row in evtx.rows(_chunks(log), LogContext()))


def compare(logs: list[bytes], subjects: dict[str, Callable[[bytes], Any]], rounds: int) -> dict[str, Any]:
    """Rows a CPU second of each subject; all must agree on the number of rows."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    counts = {}
    for _ in range(rounds):
        for name, subject in subjects.items():
            start = time.process_time()
            counts[name] = sum(_n_rows(subject(log)) for log in logs)
            times[name].append(time.process_time() - start)
    if len(set(counts.values())) != 1:
        raise SystemExit(f"the readers disagree on the number of events: {counts}")
    n = counts["ours"]
    rates = {name: round(n / statistics.median(values)) for name, values in times.items()}
    return {"rows": n, "bytes": sum(map(len, logs)), "rows_per_cpu_s": rates}


def _n_rows(made: Any) -> int:
    return made if isinstance(made, int) else len(made)


def _chunks(log: bytes, size: int = 1 << 18) -> Iterator[bytes]:
    for start in range(0, len(log), size):
        yield log[start : start + size]


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="host logs of every format against their peers")
    parser.add_argument("--quick", action="store_true", help="fewer files and rounds")
    args = parser.parse_args(argv)
    rounds = 2 if args.quick else 5
    logs = windows_json_logs(12 if args.quick else 6)
    joined = b"".join(log if log.endswith(b"\n") else log + b"\n" for log in logs)
    json_result = compare([joined], {"ours": our_json, "obvious": obvious_json}, rounds)
    rates = json_result["rows_per_cpu_s"]
    json_result["speedup_over_obvious"] = round(rates["ours"] / rates["obvious"], 2)
    json_result["agreement"] = agreement(joined)
    passed = json_result["speedup_over_obvious"] >= BAR_JSON
    evtx_result: dict[str, Any] = {}
    if files := evtx_logs():
        # pandas takes a while per file: the small ones tell nothing
        files = sorted(files, key=len)[-20:] if args.quick else files
        evtx_result = compare(files, {"ours": our_evtx, "bare": bare_evtx, "obvious": obvious_evtx}, rounds)
        rates = evtx_result["rows_per_cpu_s"]
        evtx_result["share_of_bare_iterator"] = round(rates["ours"] / rates["bare"], 3)
        evtx_result["speedup_over_obvious"] = round(rates["ours"] / rates["obvious"], 2)
        passed = passed and evtx_result["share_of_bare_iterator"] >= BAR_EVTX
    text_results = {}
    for name, part in parts(5_000 if args.quick else 20_000).items():
        made = compare([part.log], {"ours": part.ours, "obvious": part.obvious}, rounds)
        rates = made["rows_per_cpu_s"]
        made["speedup_over_obvious"] = round(rates["ours"] / rates["obvious"], 2)
        passed = passed and made["speedup_over_obvious"] >= part.bar
        text_results[name] = made | {"bar": part.bar}
    result = {
        "benchmark": "hostlogs",
        "source": "shared" if (REAL / "mordor").exists() else "made",
        "windows_json": json_result,
        "evtx": evtx_result or "no EVTX file at hand",
        **text_results,
        "bars": {"windows_json speedup_over_obvious": BAR_JSON, "evtx share_of_bare_iterator": BAR_EVTX},
        "passed": bool(passed),
    }
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
