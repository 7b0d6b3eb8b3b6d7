"""Log rows for other tools: Elastic Common Schema and Timesketch, both as JSON lines, from one table of names.

Nothing is renamed here: the columns of RL-STIR stay what they are. What does not belong here: ATT&CK layers
(`layer.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow.parquet as pq

from rlstir_core.atomic import replacing
from rlstir_core.errors import UpstreamMissing
from rlstir_core.remedies import how_to_make, how_to_make_all
from rlstir_core.results.layout import Layout

Target = Literal["ecs", "timesketch"]

ECS_VERSION = "8.17.0"
# Column -> field of the Elastic Common Schema. Integers that are missing (-1) and empty texts are left out.
ECS_NAMES: dict[str, str] = {
    "host": "host.name",
    "host_said": "host.hostname",
    "channel": "event.dataset",
    "provider": "event.provider",
    "event_id": "event.code",
    "seq": "event.sequence",
    "pid": "process.pid",
    "ppid": "process.parent.pid",
    "tid": "process.thread.id",
    "exe": "process.executable",
    "cmdline": "process.command_line",
    "user": "user.name",
    "sid": "user.id",
    "member": "log.file.path",
    "message": "message",
    "fields_json": "event.original",
    "label_ttp": "threat.technique.id",
}
# What the schema has no field for goes where it says that own fields go.
OWN_NAMES: dict[str, str] = {
    "episode_id": "labels.rlstir_episode_id",
    "template_id": "labels.rlstir_template_id",
    "tamper_tag": "labels.rlstir_tamper_tag",
}
_WORDS = {"clock_mismatch": "clock_mismatch", "duplicate": "duplicate"}  # flags become tags
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 10_000
_encode = msgspec.json.Encoder(order=None).encode


def export_rows(layout: Layout, target: Target, out: Path, *, hosts: Iterable[str] = ()) -> int:
    """Writes every log row of the named hosts (of all, where none is named) to `out`, and gives their number.

    UpstreamMissing where a host has no log rows.
    """
    make = _ecs if target == "ecs" else _timesketch
    n = 0
    with replacing(out) as temporary, temporary.open("wb") as handle:
        for path in log_files(layout, hosts):
            for row in _rows(path):
                handle.write(_encode(make(row)) + b"\n")
                n += 1
    return n


def log_files(layout: Layout, hosts: Iterable[str] = ()) -> list[Path]:
    """The files of log rows of the named hosts (of all, where none is named), by host and episode."""
    base = layout.log_events("x").parent
    named = sorted(hosts)
    folders = [layout.log_events(host) for host in named] if named else sorted(base.glob("host=*"))
    if not layout.data.is_dir():
        raise UpstreamMissing(f"data folder {layout.data} is not there; name one that `rlstir materialize` made")
    known = [folder.name.partition("=")[2] for folder in sorted(base.glob("host=*"))]
    for host in named:
        if host not in known:
            raise UpstreamMissing(
                f"host {host!r} has no log rows in {layout.data} ({', '.join(known[:20]) or 'no host'} has); make them "
                f"with: {how_to_make('log_events')}"
            )
    found = [path for folder in folders for path in sorted(folder.glob("*.parquet"))]
    if not found:
        raise UpstreamMissing(f"{base} holds no log rows; make them with: {how_to_make_all('+key:log_events')}")
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(path).iter_batches(_BATCH):
        yield from batch.to_pylist()


def _ecs(row: dict[str, Any]) -> dict[str, Any]:
    """One row as a document with nested objects, as Elasticsearch shows it."""
    found: dict[str, Any] = {"@timestamp": iso(row["ts_ns"]), "ecs": {"version": ECS_VERSION}}
    for column, name in (*ECS_NAMES.items(), *OWN_NAMES.items()):
        value = row[column]
        if value is not None and value not in ("", -1, []):
            _put(found, name, value)
    if tags := _tags(row):
        found["tags"] = tags
    if row["label_ttp"]:
        _put(found, "threat.framework", "MITRE ATT&CK")
    return found


def _timesketch(row: dict[str, Any]) -> dict[str, Any]:
    """One row with the three fields that Timesketch asks for, and the others beside them."""
    found: dict[str, Any] = {
        "message": row["message"] or f"{row['provider']} {row['event_id']}".strip() or "(empty)",
        "datetime": iso(row["ts_ns"]),
        "timestamp": row["ts_ns"] // 1000,
        "timestamp_desc": "Event Logged",
        "data_type": f"rlstir:{row['channel']}",
    }
    for column, name in (*ECS_NAMES.items(), *OWN_NAMES.items()):
        value = row[column]
        if column != "message" and value is not None and value not in ("", -1, []):
            found[name] = value
    if tags := _tags(row):
        found["tag"] = tags
    return found


def _tags(row: dict[str, Any]) -> list[str]:
    tags = [word for column, word in _WORDS.items() if row[column]]
    if row["assumed"]:
        tags += [f"{word}_assumed" for word in row["assumed"].split()]
    if not row["parsed"]:
        return [*tags, "not_parsed"]
    return tags if row["timed"] else [*tags, "no_time_of_its_own"]


def _put(tree: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[last] = value


def iso(ts_ns: int) -> str:
    """RFC 3339 in UTC with nanoseconds; int64 nanoseconds lie between 1677 and 2262."""
    seconds, rest = divmod(ts_ns, 10**9)
    return f"{(_EPOCH + timedelta(seconds=seconds)):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
