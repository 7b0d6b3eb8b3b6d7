"""What models say of the test side, as files that are written before any of its labels is read.

What does not belong here: labels and figures.
"""

# E episodes, K outputs: the techniques, then an attack
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.arrays import Floats
from rlstir_core.atomic import replacing
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.investigator.techniques.labels import LABELS

RANKS = 10
_TECHNIQUES = pa.schema(
    {
        "episode_id": pa.string(),
        "host": pa.string(),
        "corpus": pa.string(),
        "member": pa.string(),  # the log file; empty where an episode has several, which are read together
        "model": pa.string(),
        "rank": pa.int32(),
        "technique": pa.string(),
        "score": pa.float64(),
        "abstained": pa.bool_(),  # nothing is named in this episode
        "named": pa.bool_(),
    }
)
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


def write_techniques(path: Path, episodes: Sequence[EpisodeInfo], scores: Mapping[str, tuple[Floats, float]]) -> None:
    """The first ten techniques of every episode by every model, and all that are named.

    `scores` are (scores, threshold) by model.
    """
    with replacing(path) as temporary, pq.ParquetWriter(temporary, _TECHNIQUES, compression="zstd") as writer:
        for model, (score_EK, threshold) in scores.items():
            for info, score_K in zip(episodes, score_EK[:, : len(LABELS)], strict=True):
                order = np.argsort(-score_K, kind="stable")
                kept = order[: max(RANKS, int((score_K >= threshold).sum()))]
                named = score_K[kept] >= threshold
                n = len(kept)
                columns = {
                    "episode_id": [info.episode_id] * n,
                    "host": [info.host] * n,
                    "corpus": [info.corpus] * n,
                    "member": [info.logs[0] if len(info.logs) == 1 else ""] * n,
                    "model": [model] * n,
                    "rank": np.arange(1, n + 1, dtype=np.int32),
                    "technique": [LABELS[k] for k in kept],
                    "score": score_K[kept],
                    "abstained": [not named.any()] * n,
                    "named": named,
                }
                writer.write_table(pa.table(columns, schema=_TECHNIQUES))


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


def read_techniques(path: Path) -> dict[str, dict[str, NamedTechniques]]:
    """{model: {episode: what it says}}"""
    found: dict[str, dict[str, NamedTechniques]] = {}
    columns = ("model", "episode_id", "technique", "named")
    table = pq.ParquetFile(path).read(columns=list(columns), use_threads=False)
    for model, episode, technique, named in zip(*(table[name].to_pylist() for name in columns), strict=True):
        before = found.setdefault(model, {}).get(episode, NamedTechniques((), frozenset()))
        more = frozenset([technique]) if named else frozenset()
        found[model][episode] = NamedTechniques((*before.ranked, technique), before.named | more)
    return found


def read_risk(path: Path) -> dict[str, dict[str, float]]:
    """{model: {episode: how likely an attack is}}"""
    found: dict[str, dict[str, float]] = {}
    columns = ("model", "episode_id", "p_risk")
    table = pq.ParquetFile(path).read(columns=list(columns), use_threads=False)
    for model, episode, risk in zip(*(table[name].to_pylist() for name in columns), strict=True):
        found.setdefault(model, {})[episode] = risk
    return found
