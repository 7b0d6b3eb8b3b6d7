"""Reading host logs: Windows JSON against json + pandas, EVTX against the bare iterator of the `evtx` package.

One run, CPU time, median of interleaved rounds, on ../shared/real where it is there, else on events made here. Both
readers of a format must find the same number of events. Usage: python benchmarks/hostlogs.py [--quick]
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

from rlstir_core.hostlogs import evtx, windows_json
from rlstir_core.hostlogs.schema import LogContext

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


def obvious_json(log: bytes) -> int:
    """What most people would write: json a line, a DataFrame, its times."""
    frame = pd.DataFrame([json.loads(line) for line in log.split(b"\n") if line.strip()])
    column = next(name for name in _TIMES if name in frame)
    frame["time"] = pd.to_datetime(frame[column], utc=True, format="mixed")
    return len(frame)


def normalised_json(log: bytes) -> int:
    """The same with json_normalize, as nested events need."""
    frame = pd.json_normalize([json.loads(line) for line in log.split(b"\n") if line.strip()])
    column = next(name for name in _TIMES if name in frame)
    frame["time"] = pd.to_datetime(frame[column], utc=True, format="mixed")
    return len(frame)


def our_json(log: bytes) -> int:
    """The project's reader."""
    return sum(row.parsed for row in windows_json.rows(_chunks(log), LogContext()))


def bare_evtx(log: bytes) -> int:
    """The library's records, not looked into."""
    return sum(1 for _ in PyEvtxParser(io.BytesIO(log)).records_json())


def obvious_evtx(log: bytes) -> int:
    """What most people would write on top of it."""
    frame = pd.json_normalize([json.loads(record["data"]) for record in PyEvtxParser(io.BytesIO(log)).records_json()])
    frame["time"] = pd.to_datetime(frame["Event.System.TimeCreated.#attributes.SystemTime"], utc=True, format="mixed")
    return len(frame)


def our_evtx(log: bytes) -> int:
    """The project's reader."""
    return sum(row.parsed for row in evtx.rows(_chunks(log), LogContext()))


def compare(logs: list[bytes], subjects: dict[str, Callable[[bytes], int]], rounds: int) -> dict[str, Any]:
    """Rows a CPU second of each subject; all must agree on the number of rows."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    counts = {}
    for _ in range(rounds):
        for name, subject in subjects.items():
            start = time.process_time()
            counts[name] = sum(map(subject, logs))
            times[name].append(time.process_time() - start)
    if len(set(counts.values())) != 1:
        raise SystemExit(f"the readers disagree on the number of events: {counts}")
    n = counts["ours"]
    rates = {name: round(n / statistics.median(values)) for name, values in times.items()}
    return {"rows": n, "bytes": sum(map(len, logs)), "rows_per_cpu_s": rates}


def _chunks(log: bytes, size: int = 1 << 18) -> Iterator[bytes]:
    for start in range(0, len(log), size):
        yield log[start : start + size]


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the result as JSON and gives it."""
    parser = argparse.ArgumentParser(description="host logs: Windows JSON and EVTX against their peers")
    parser.add_argument("--quick", action="store_true", help="fewer files and rounds")
    args = parser.parse_args(argv)
    rounds = 2 if args.quick else 5
    logs = windows_json_logs(12 if args.quick else 6)
    json_result = compare(logs, {"ours": our_json, "obvious": obvious_json, "normalised": normalised_json}, rounds)
    rates = json_result["rows_per_cpu_s"]
    json_result["speedup_over_obvious"] = round(rates["ours"] / rates["obvious"], 2)
    json_result["speedup_over_normalised"] = round(rates["ours"] / rates["normalised"], 2)
    passed = json_result["speedup_over_obvious"] >= BAR_JSON
    evtx_result: dict[str, Any] = {}
    if files := evtx_logs():
        # pandas takes a while a file: the small ones tell nothing
        files = sorted(files, key=len)[-20:] if args.quick else files
        evtx_result = compare(files, {"ours": our_evtx, "bare": bare_evtx, "obvious": obvious_evtx}, rounds)
        rates = evtx_result["rows_per_cpu_s"]
        evtx_result["share_of_bare_iterator"] = round(rates["ours"] / rates["bare"], 3)
        evtx_result["speedup_over_obvious"] = round(rates["ours"] / rates["obvious"], 2)
        passed = passed and evtx_result["share_of_bare_iterator"] >= BAR_EVTX
    result = {
        "benchmark": "hostlogs",
        "source": "shared" if (REAL / "mordor").exists() else "made",
        "windows_json": json_result,
        "evtx": evtx_result or "no EVTX file at hand",
        "bars": {"windows_json speedup_over_obvious": BAR_JSON, "evtx share_of_bare_iterator": BAR_EVTX},
        "passed": bool(passed),
    }
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    raise SystemExit(0 if main()["passed"] else 1)
