"""The decoded rows of one episode as a safetensors file, so that an episode is decoded once.

What does not belong here: deciding when a file is out of date (`validate.py`).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import safetensors
from safetensors.numpy import save_file

from rlstir_core.atomic import replacing
from rlstir_core.episodes.schema import Column, Episode, Label, Meta, SourceRows
from rlstir_core.errors import UpstreamMissing

_KEY = "episode"


def write_rows(path: Path, episode: Episode) -> None:
    """Writes the episode, whole or not at all; equal episodes give equal bytes."""
    tensors = {
        f"{name}/{field}": column for name, rows in episode.sources.items() for field, column in rows.columns.items()
    }
    head = {
        "meta": dataclasses.asdict(episode.meta),
        "labels": [[label.t_wall_ns, label.phase] for label in episode.labels],
        "sources": {name: _counts(rows) for name, rows in episode.sources.items()},
        "members": episode.members,
        "sha256": episode.sha256,
        "n_bytes": episode.n_bytes,
        "clock_offset_ns": episode.clock_offset_ns,
        "clock_step_ns": episode.clock_step_ns,
        "logs_sha256": episode.logs_sha256,
    }
    # one metadata key, because the format does not keep several in order
    text = json.dumps(head, separators=(",", ":"))
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: text})


def read_rows(path: Path) -> Episode:
    """The episode in a file of `write_rows`; UpstreamMissing when there is none that can be read."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            head = json.loads((file.metadata() or {})[_KEY])
            columns = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return _episode(head, columns)
    except FileNotFoundError:
        cause = "is not there"
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        cause = f"cannot be read ({type(error).__name__})"
    raise UpstreamMissing(f"{path} {cause}; remove it, if it is there, and materialize validation for this host again")


def _counts(rows: SourceRows) -> dict[str, Any]:
    return {
        field.name: getattr(rows, field.name)
        for field in dataclasses.fields(rows)
        if field.name not in ("name", "columns")
    } | {"fields": list(rows.columns)}


def _episode(head: dict[str, Any], columns: dict[str, Column]) -> Episode:
    sources = {}
    for name, counts in head.pop("sources").items():
        fields = counts.pop("fields")
        counts["faults"] = tuple(counts["faults"])
        sources[name] = SourceRows(name=name, columns={field: columns[f"{name}/{field}"] for field in fields}, **counts)
    meta = msgspec.convert(head.pop("meta"), Meta)
    labels = tuple(Label(t, phase) for t, phase in head.pop("labels"))
    return Episode(meta=meta, labels=labels, sources=sources, **head)
