"""What models say of techniques, tactics and risks, over whatever ids each can say: written before a label is read.

What does not belong here: labels and figures.
"""

# E episodes, C ids that a model can say, T tactics
# ruff: noqa: N802 - names of arrays carry their shapes
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from sys import intern
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rlstir_core.arrays import Floats
from rlstir_core.atomic import replacing
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.investigation.whole_tables import WholeTables
from rlstir_core.investigator.techniques.decide import Naming, margins

RANKS = 10
_BLOCK = 8_192
_WHOSE = {"episode_id": pa.string(), "host": pa.string(), "corpus": pa.string(), "member": pa.string()}
_TECHNIQUES = pa.schema(
    {
        **_WHOSE,
        "model": pa.string(),
        "rank": pa.int32(),
        "technique": pa.string(),
        "score": pa.float64(),
        "margin": pa.float64(),  # of the first technique over the second; null where there is no second
        "abstained": pa.bool_(),  # nothing is named in this episode
        "named": pa.bool_(),
    }
)
_TACTICS = pa.schema({**_WHOSE, "model": pa.string(), "rank": pa.int32(), "tactic": pa.string(), "score": pa.float64()})


_RISK = pa.schema(
    {
        "episode_id": pa.string(),
        "host": pa.string(),
        "corpus": pa.string(),
        "model": pa.string(),
        "p_risk": pa.float64(),
    }
)


class NamedTechniques(NamedTuple):
    """What a model says of one episode."""

    ranked: tuple[str, ...]  # the likeliest technique first
    named: frozenset[str]


_SILENT = NamedTechniques((), frozenset())


class Spoken(NamedTuple):
    """What one model says of episodes."""

    ids: Sequence[str]
    score_EC: Floats
    naming: Naming
    named_EC: NDArray[np.bool_] | None = None  # where episodes are named by several rules

    @property
    def says_EC(self) -> NDArray[np.bool_]:
        """What is named."""
        return self.naming.named(self.score_EC) if self.named_EC is None else self.named_EC


class Read(NamedTuple):
    """What the table of techniques holds of one model: what is ranked and named, and how sure it is of the first."""

    said: dict[str, NamedTechniques]
    score: dict[str, float]  # of the first technique
    margin: dict[str, float]


def write_techniques(path: Path, episodes: Sequence[EpisodeInfo], spoken: Mapping[str, Spoken]) -> None:
    """The first ten techniques of every episode by every model, and all that are named."""
    with WholeTables([(path, _TECHNIQUES)]) as tables:
        for model, of in spoken.items():
            ids, score_EC, named_EC, margin_E = of.ids, of.score_EC, of.says_EC, margins(of.score_EC)
            for info, score_C, named_C, margin in zip(episodes, score_EC, named_EC, margin_E, strict=True):
                order = np.argsort(-score_C, kind="stable")
                last_named = int(np.flatnonzero(named_C[order]).max(initial=-1)) + 1
                kept = order[: max(RANKS, last_named)]
                columns = _whose(info, model, len(kept)) | {
                    "technique": [ids[c] for c in kept],
                    "score": score_C[kept],
                    "margin": [float(margin) if np.isfinite(margin) else None] * len(kept),
                    "abstained": [not named_C.any()] * len(kept),
                    "named": named_C[kept],
                }
                tables.write(0, pa.table(columns, schema=_TECHNIQUES))


def write_tactics(
    path: Path, episodes: Sequence[EpisodeInfo], tactics: Sequence[str], scores: Mapping[str, Floats]
) -> None:
    """Every tactic of every episode by every model that says them, the likeliest first; scores are (E, T)."""
    with WholeTables([(path, _TACTICS)]) as tables:
        for model, score_ET in scores.items():
            for info, score_T in zip(episodes, score_ET, strict=True):
                order = np.argsort(-score_T, kind="stable")
                columns = _whose(info, model, len(order)) | {
                    "tactic": [tactics[t] for t in order],
                    "score": score_T[order],
                }
                tables.write(0, pa.table(columns, schema=_TACTICS))


def write_risk(path: Path, episodes: Sequence[EpisodeInfo], risks: Mapping[str, Floats]) -> None:
    """How likely an attack is in every episode by every model that says it."""
    with replacing(path) as temporary, pq.ParquetWriter(temporary, _RISK, compression="zstd") as writer:
        for model, risk_E in risks.items():
            columns = {
                "episode_id": [info.episode_id for info in episodes],
                "host": [info.host for info in episodes],
                "corpus": [info.corpus for info in episodes],
                "model": [model] * len(episodes),
                "p_risk": risk_E,
            }
            writer.write_table(pa.table(columns, schema=_RISK))


def read_techniques(path: Path) -> dict[str, Read]:
    """{model: what it says}; of 45,000 episodes .35 GiB where six models speak, since equal names are held once."""
    found: dict[str, Read] = {}
    columns = ["model", "episode_id", "rank", "technique", "score", "margin", "named"]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BLOCK, columns=columns, use_threads=False):
            for row in batch.to_pylist():
                read = found.setdefault(row["model"], Read({}, {}, {}))
                episode, technique = intern(row["episode_id"]), intern(row["technique"])
                if row["rank"] == 1:
                    read.score[episode] = row["score"]
                    read.margin[episode] = float("inf") if row["margin"] is None else row["margin"]
                before = read.said.get(episode, _SILENT)
                named = before.named | {technique} if row["named"] else before.named
                read.said[episode] = NamedTechniques((*before.ranked, technique), named)
    return found


def read_tactics(path: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    """{model: {episode: tactics, the likeliest first}}"""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BLOCK, columns=["model", "episode_id", "tactic"], use_threads=False):
            for row in batch.to_pylist():
                of, episode = found.setdefault(row["model"], {}), intern(row["episode_id"])
                of[episode] = (*of.get(episode, ()), intern(row["tactic"]))
    return found


def _whose(info: EpisodeInfo, model: str, n: int) -> dict[str, object]:
    return {
        "episode_id": [info.episode_id] * n,
        "host": [info.host] * n,
        "corpus": [info.corpus] * n,
        "member": [info.logs[0] if len(info.logs) == 1 else ""] * n,
        "model": [model] * n,
        "rank": np.arange(1, n + 1, dtype=np.int32),
    }


def read_risk(path: Path) -> dict[str, dict[str, float]]:
    """{model: {episode: how likely an attack is}}"""
    found: dict[str, dict[str, float]] = {}
    columns = ("model", "episode_id", "p_risk")
    table = pq.ParquetFile(path).read(columns=list(columns), use_threads=False)
    for model, episode, risk in zip(*(table[name].to_pylist() for name in columns), strict=True):
        found.setdefault(model, {})[episode] = risk
    return found
