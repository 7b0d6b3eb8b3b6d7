"""Tactics through the ATT&CK table: of a technique, and how likely each is by what is said of the techniques.

What does not belong here: what is said of techniques (`knowledge.py`), and figures.
"""

# E episodes, C techniques, T tactics
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow.parquet as pq

from rlstir_core.arrays import Floats
from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.investigator.techniques.documents import Document
from rlstir_core.investigator.techniques.knowledge import Knowledge, fitted
from rlstir_core.results.layout import Layout

TacticTable = Mapping[str, tuple[str, ...]]  # {technique: its official tactics}
TACTICS = (
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
)
_LOGS_COUNT = 0.5  # weight of what labelled logs say beside the texts, chosen by one corpus for the other
_FLOOR = 1e-9


def tactic_table(layout: Layout) -> dict[str, tuple[str, ...]]:
    """The tactics of every technique that the pinned table or an imported text of ATT&CK's gives them for."""
    found: dict[str, set[str]] = {}
    if layout.knowledge.exists():
        with pq.ParquetFile(layout.knowledge) as file:
            there = "tactics" in file.schema_arrow.names
            for batch in file.iter_batches(columns=["techniques", "tactics"], use_threads=False) if there else ():
                for row in batch.to_pylist():
                    if len(row["techniques"]) == 1 and row["tactics"]:
                        found.setdefault(row["techniques"][0], set()).update(row["tactics"])
    ordered = {own: tuple(t for t in TACTICS if t in said) for own, said in found.items()}
    return ordered | {own: known.tactics for own, known in techniques().items()}


def official(table: TacticTable, technique: str) -> tuple[str, ...]:
    """The tactics of a technique, or of its parent where nobody says its own."""
    return table.get(technique) or table.get(technique.partition(".")[0]) or ()


def tactic_posteriors(posterior_EC: Floats, ids: Sequence[str], table: TacticTable) -> Floats:
    """(E, C) log-probabilities of techniques -> (E, T) of tactics: a technique's is shared by its tactics."""
    return shared_posteriors(posterior_EC, tactic_shares(ids, table))


def tactic_shares(ids: Sequence[str], table: TacticTable) -> Floats:
    """(C, T): how a technique's probability is shared by its tactics."""
    share_CT = np.zeros((len(ids), len(TACTICS)))
    for c, own in enumerate(ids):
        said = [TACTICS.index(tactic) for tactic in official(table, own) if tactic in TACTICS]
        share_CT[c, said] = 1 / max(1, len(said))
    return share_CT


def shared_posteriors(posterior_EC: Floats, share_CT: Floats) -> Floats:
    """The same as `tactic_posteriors` with shares that are known."""
    return _normal(np.log(np.exp(posterior_EC) @ share_CT + _FLOOR))


def fit_tactics(documents: Sequence[Document], tactics: Sequence[Sequence[str]]) -> Knowledge | None:
    """The same kind of model on logs by their tactics, all of them known; None where there are fewer than two."""
    return fitted(documents, [[own for own in each if own in TACTICS] for each in tactics])


def averaged(tactic_ET: Floats, model: Knowledge | None, documents: Sequence[Document]) -> Floats:
    """(E, T): the log-average of what texts say and what labelled logs say of the tactics."""
    if model is None:
        return tactic_ET
    said_ET = np.full(tactic_ET.shape, np.log(_FLOOR) / 2)
    said_ET[:, [TACTICS.index(own) for own in model.ids]] = model.log_posteriors(documents)
    return _normal(tactic_ET + _LOGS_COUNT * said_ET)


def _normal(said_ET: Floats) -> Floats:
    said_ET = said_ET - said_ET.max(axis=1, keepdims=True)
    return np.asarray(said_ET - np.log(np.exp(said_ET).sum(axis=1, keepdims=True)))
