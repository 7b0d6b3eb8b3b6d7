"""What the leakage checks look at: of each generated episode its rows' templates and words, its numbers, its label.

Reads the log rows as every model will see them, so that a leak in writing or in parsing shows alike. What does not
belong here: what is made of it (`probes.py`, `gates.py`).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.contract.members import META, TAMPER_SPANS
from rlstir_core.contract.reasons import EpisodeRejected
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.archive import members
from rlstir_core.episodes.reading.frames import FrameReader
from rlstir_core.episodes.reading.read import open_plain
from rlstir_core.episodes.validation.verdicts import ValidationRow, read_validation
from rlstir_core.hostlogs.attack.truth import read_truth
from rlstir_core.hostlogs.gap_rules import both_rules
from rlstir_core.results.layout import Layout

MOST_EPISODES = 400  # a bound on what the checks cost; which ones, a hash of their names decides
_WORD = re.compile(r"[a-z][a-z0-9_]{1,39}")


class Lab(msgspec.Struct, frozen=True):
    """What the lab wrote into an episode's meta."""

    story: str
    look_alikes: tuple[str, ...]
    artifact: str = msgspec.field(name="quirk")  # the benign artifact of its logs


class _Meta(msgspec.Struct, frozen=True):
    benign: bool
    hardness: float | None = None
    lab: Lab | None = None


class EpisodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One episode; `numbers` are what a model without content would see."""

    host: str
    episode: str
    benign: bool
    lab: Lab
    tampered: bool
    templates: dict[str, int]
    attack_templates: frozenset[str]  # of rows in which a technique ran
    words: dict[str, int]
    numbers: dict[str, float]
    naive: bool  # a rule takes it for tampered
    chainsaw: bool


def generated(store: Path, layout: Layout, hosts: Iterable[str]) -> list[EpisodeFacts]:
    """The facts of generated episodes with log rows, at most `MOST_EPISODES`; empty where there are none."""
    known = [(host, row) for host in hosts for row in _rows(layout, host)]
    known.sort(key=lambda pair: hashlib.sha256(f"{pair[0]}/{pair[1].episode_id}".encode()).digest())
    found = []
    for host, row in known[:MOST_EPISODES]:
        facts = _facts(store, layout, host, row)
        if facts is not None:
            found.append(facts)
    return sorted(found, key=lambda each: (each.host, each.episode))


def _rows(layout: Layout, host: str) -> list[ValidationRow]:
    if not layout.validation(host).exists():
        return []
    return [
        row
        for row in read_validation(layout.validation(host))
        if row.usable
        and row.synthetic
        and row.log_bytes
        and (layout.log_events(host) / f"{row.episode_id}.parquet").exists()
    ]


def _facts(store: Path, layout: Layout, host: str, row: ValidationRow) -> EpisodeFacts | None:
    meta, tampered = meta_of(store / row.path)
    if meta is None or meta.lab is None:
        return None
    table = pq.ParquetFile(layout.log_events(host) / f"{row.episode_id}.parquet").read(use_threads=False)
    templates = table["template_id"].to_pylist()
    labels = table["label_ttp"].to_pylist()
    text = "\n".join((*table["message"].to_pylist(), *table["cmdline"].to_pylist()))
    words = Counter(_WORD.findall(text.lower()))
    naive, chainsaw = both_rules(table)
    return EpisodeFacts(
        host=host,
        episode=row.episode_id,
        benign=meta.benign,
        lab=meta.lab,
        tampered=tampered,
        templates=dict(Counter(templates)),
        attack_templates=frozenset(
            template for template, label in zip(templates, labels, strict=True) if label and not meta.benign
        ),
        words=dict(words),
        numbers=_numbers(host, row, table),
        naive=naive.flagged,
        chainsaw=chainsaw.flagged,
    )


def _numbers(host: str, row: ValidationRow, table: pa.Table) -> dict[str, float]:
    """Counts, durations, host, users, pids, file sizes: what is known of an episode whose content nobody read."""
    pid_N = table["pid"].to_numpy()
    pid_N = pid_N[pid_N >= 0] if (pid_N >= 0).any() else np.zeros(1, np.int64)
    users = Counter(table["user"].to_pylist())
    found = {
        "duration_s": ((row.t_end_wall_ns or 0) - (row.t_start_wall_ns or 0)) / 1e9,
        "tarball_bytes": float(row.n_bytes),
        "pids": float(len(np.unique(pid_N))),
        "pid_median": float(np.median(pid_N)),
        "pid_largest": float(pid_N.max()),
        "users": float(len(users)),
        "users_evenness": max(users.values()) / max(1, sum(users.values())) if users else 0.0,
        f"host={host}": 1.0,
    }
    found |= {f"rows {name}": float(n) for name, n in Counter(table["channel"].to_pylist()).items()}
    found |= {f"rows {name}": float(n) for name, n in row.rows.items()}
    found |= {f"bytes {name}": float(n) for name, n in row.log_bytes.items()}
    return found


def meta_of(path: Path) -> tuple[_Meta | None, bool]:
    """The meta of a tarball, and whether its truth names a tamper span; nothing where it cannot be read."""
    meta, tampered = None, False
    try:
        with open_plain(path) as handle:
            for name, size, chunks in members(FrameReader(handle, Limits()), Limits()):
                if name == META:
                    meta = msgspec.json.decode(b"".join(chunks), type=_Meta)
                    if meta.lab is None:
                        return None, False
                elif name == TAMPER_SPANS and size < Limits().meta_bytes:
                    tampered = bool(read_truth(None, b"".join(chunks)).spans)
                    break
    except (EpisodeRejected, msgspec.MsgspecError):
        return None, False
    return meta, tampered
