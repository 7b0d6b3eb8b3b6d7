"""What reading an episode gives: its meta, labels, typed rows and verdict.

What does not belong here: how they are read (`reading/`) and where they are kept (`validation/rows.py`).
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy.typing as npt

from rlstir_core.contract.reasons import ReasonCode
from rlstir_core.contract.registry import CLOCK_FIELDS
from rlstir_core.ids import EpisodeId, HostId, SafeName

Column = npt.NDArray[Any]  # int64 with -1 for missing, or float64 with NaN for missing


@dataclass(frozen=True, kw_only=True)
class Meta:
    """What `meta.json` says, parsed once."""

    episode_id: EpisodeId
    host_id: HostId
    profile: SafeName
    sample_name: SafeName
    benign: bool
    t_start_wall_ns: int
    t_end_wall_ns: int
    sources: dict[str, int | None] = field(default_factory=dict)
    synthetic: bool = False  # a generator made it; nobody recorded it
    origin: str = ""  # an importer's own name for the run, ASCII-escaped
    corpus: str = ""  # whose recordings these are


@dataclass(frozen=True)
class Label:
    """The phase that begins at `t_wall_ns`."""

    t_wall_ns: int
    phase: str


@dataclass(frozen=True)
class Verdict:
    """What validation says: `reason` is the first of the codes, empty for ok; `detail` is safe to print."""

    verdict: Literal["ok", "degraded", "reject"]
    reason: ReasonCode | Literal[""] = ""
    detail: str = ""
    reasons: tuple[ReasonCode, ...] = ()

    @property
    def usable(self) -> bool:
        return self.verdict != "reject"


@dataclass(frozen=True, kw_only=True)
class SourceRows:
    """The rows of one source in the order of `t_wall_ns`, with what was lost on the way."""

    name: str
    columns: dict[str, Column]
    n_rows: int
    n_bad: int = 0  # records that were dropped because they break the format
    n_torn: int = 0  # lines that held more than one record; the records were kept
    n_unsorted: int = 0  # rows that stood before an earlier one
    n_outside: int = 0  # rows dropped because they lie outside the episode
    faults: tuple[str, ...] = ()  # the first few, named by line


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One decoded episode."""

    meta: Meta
    labels: tuple[Label, ...]
    sources: dict[str, SourceRows]
    members: dict[str, int]  # every file member and its size in bytes
    sha256: str
    n_bytes: int
    clock_offset_ns: dict[str, int] = field(default_factory=dict)  # median wall - mono, less the first source's
    clock_step_ns: int = 0  # the largest jump of wall - mono between two rows of a sampled source
    logs_sha256: str = ""  # fingerprint of all logs, whatever their names; empty without any

    @functools.cached_property
    def content_sha256(self) -> str:
        """A hash of all values without their clocks: equal for recordings stamped anew; empty without rows."""
        if not any(rows.n_rows for rows in self.sources.values()):
            return ""
        digest = hashlib.sha256()
        for name, rows in sorted(self.sources.items()):
            for field_name, column in sorted(rows.columns.items()):
                if field_name not in CLOCK_FIELDS:
                    digest.update(f"{name}.{field_name}:{len(column)}\n".encode())
                    digest.update(column.data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Reading:
    """A verdict, and the episode unless the verdict is reject."""

    verdict: Verdict
    episode: Episode | None = None
