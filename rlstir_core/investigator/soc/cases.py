"""A case: one episode as flat arrays that can be asked; and many of them, one behind the other.

What does not belong here: which rows answer (`queries/`), which row is the alert (`alerts.py`), asking (`lanes.py`).
"""

# C cases, N rows, D numbers of a row, E entities, P pairs of a query and an entity of its kind, Q queries,
# K answers of the detector, M entries of a list of lists
from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlstir_core.arrays import Array, Floats, Ints
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.hostlogs.store import opened_rows
from rlstir_core.investigator.queries.answers import answers_by_query
from rlstir_core.investigator.queries.catalogue import KIND_Q, KINDS, QUERIES
from rlstir_core.investigator.queries.columns import columns_of
from rlstir_core.investigator.queries.entities import LogEntities, entities_of
from rlstir_core.investigator.soc.alerts import AlertRule, choose_alert
from rlstir_core.investigator.soc.detecting import ATTACK, TAMPERED, TECHNIQUES
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.row_truth import RowTruth
from rlstir_core.provenance.store import read_graph
from rlstir_core.provenance.tables import Graph
from rlstir_core.results.layout import Layout

NOBODY = -1
HALF = NDArray[np.float16]


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One episode. Rows stand in the order of their table, entities by kind in the order of `KINDS`.

    Pairs are counted query after query, within a query by entity; what answers a pair is in the order of time.
    """

    episode_id: str
    host: str
    vector_ND: HALF
    tree_N: NDArray[np.int32]  # what the detector pools by: a process tree; without a process its account
    ts_N: Ints
    mention_N1: NDArray[np.int32]  # where the entities of each row lie in `mention_M`
    mention_M: NDArray[np.int32]
    kind_1: NDArray[np.int32]  # where each kind of entities begins; (kinds + 1,)
    rarity_E: NDArray[np.uint8]  # log2 of how many rows name it
    pair_Q1: NDArray[np.int32]  # where the pairs of each query begin
    answer_P1: NDArray[np.int32]  # where the rows of each pair lie in `answer_M`
    answer_M: NDArray[np.int32]
    alert: int  # a row
    alert_score: float
    alert_process: int  # an entity; NOBODY where no process is behind the alert
    truth_K: Array  # attack, tampered, techniques of the label space: 0 or 1; NaN where nobody knows
    evidence_M: NDArray[np.int32]  # labelled rows, once for each of their techniques
    technique_M: NDArray[np.int32]  # and the technique's number in the label space
    names_E: tuple[str, ...] = ()  # of the entities, where they are kept

    @property
    def n_rows(self) -> int:
        return len(self.ts_N)

    @property
    def n_trees(self) -> int:
        return int(self.tree_N.max(initial=-1)) + 1


def make_case(
    layout: Layout,
    info: EpisodeInfo,
    vector_ND: HALF | Array,
    score_N: Floats | Array,
    truth: RowTruth | None,
    seed: int,
    *,
    rule: AlertRule | None = None,
    p_tamper_N: Floats | None = None,
    names: bool = False,
) -> Case:
    """The case of an episode whose log rows and graph were made; UpstreamMissing where they were not.

    `score_N` says how much a row looks like an attack (a first look's log-odds); it chooses the alert: by `rule` where
    the truth is known, so that scores say nothing of labels, else the highest. `names` keeps what entities are called.
    """
    graph = read_graph(layout, info.host, info.own_id)
    with opened_rows(layout, info.host, info.own_id) as file:
        table = file.read(use_threads=False)
    return case_of(
        table, graph, vector_ND, score_N, truth, seed,
        episode_id=info.episode_id, host=info.host, attack=not info.benign, rule=rule, p_tamper_N=p_tamper_N,
        names=names,
    )  # fmt: skip


def case_of(
    table: pa.Table,
    graph: Graph,
    vector_ND: HALF | Array,
    score_N: Floats | Array,
    truth: RowTruth | None,
    seed: int,
    *,
    episode_id: str,
    host: str,
    attack: bool = False,
    alert: int | None = None,
    rule: AlertRule | None = None,
    p_tamper_N: Floats | None = None,
    names: bool = False,
) -> Case:
    """The case of log rows and the graph that was made from them; `attack` counts where a truth is given."""
    columns = columns_of(table, graph, p_tamper_N)
    entities = entities_of(columns)
    if alert is None:
        allowed_N = (columns.process_N >= 0) & ~columns.duplicate_N
        rng = np.random.default_rng([seed, zlib.crc32(episode_id.encode())])
        alert = choose_alert(score_N, allowed_N, None if truth is None else truth.attack_N, rule, rng)
    sizes = [len(entities.kinds[kind].names) for kind in KINDS]
    kind_1 = np.concatenate([[0], np.cumsum(sizes)])
    mention_N1, mention_M, rarity_E = _mentions(entities, kind_1, len(columns))
    found = answers_by_query(columns, entities)
    pair_Q1 = np.concatenate([[0], np.cumsum([sizes[kind] for kind in KIND_Q])])
    pairs = [found[query.name][0] + start for query, start in zip(QUERIES, pair_Q1, strict=False)]
    n_P = np.bincount(np.concatenate(pairs), minlength=pair_Q1[-1])
    process = int(columns.process_N[alert]) if len(columns) else NOBODY
    return Case(
        episode_id=episode_id,
        host=host,
        vector_ND=np.asarray(vector_ND, np.float16),
        tree_N=entities.pooled_N,
        ts_N=columns.ts_N.astype(np.int64),
        mention_N1=mention_N1,
        mention_M=mention_M,
        kind_1=kind_1.astype(np.int32),
        rarity_E=rarity_E,
        pair_Q1=pair_Q1.astype(np.int32),
        answer_P1=np.concatenate([[0], np.cumsum(n_P)]).astype(np.int32),
        answer_M=np.concatenate([found[query.name][1] for query in QUERIES]).astype(np.int32),
        alert=alert,
        alert_score=float(score_N[alert]),
        alert_process=int(kind_1[KINDS.index("process")]) + process if process >= 0 else NOBODY,
        truth_K=truth_of(truth, attack),
        evidence_M=np.zeros(0, np.int32) if truth is None else truth.row_M.astype(np.int32),
        technique_M=np.zeros(0, np.int32) if truth is None else truth.technique_M.astype(np.int32),
        names_E=tuple(name for kind in KINDS for name in entities.kinds[kind].names) if names else (),
    )


def truth_of(truth: RowTruth | None, attack: bool) -> Array:
    """What should be declared; NaN where no truth is known. (K,)"""
    found = np.full(TECHNIQUES + len(LABELS), np.nan, np.float32)
    if truth is not None:
        found[:] = 0
        found[ATTACK], found[TAMPERED] = attack, truth.tampered_N.any()
        found[TECHNIQUES + truth.technique_M] = 1
    return found


def _mentions(
    entities: LogEntities, kind_1: Ints, n_rows: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
    """Entities by row, and how rare each is."""
    row_M = np.concatenate([entities.kinds[kind].row_M for kind in KINDS])
    entity_M = np.concatenate(
        [entities.kinds[kind].entity_M + start for kind, start in zip(KINDS, kind_1, strict=False)]
    )
    order = np.lexsort((entity_M, row_M))
    ends = np.concatenate([[0], np.cumsum(np.bincount(row_M, minlength=n_rows))])
    times_E = np.bincount(entity_M, minlength=kind_1[-1])
    rarity_E = np.log2(np.maximum(times_E, 1)).astype(np.uint8)
    return ends.astype(np.int32), entity_M[order].astype(np.int32), rarity_E


class CaseSet:
    """Cases one behind the other: every array of `Case` once, and where each case begins in it.

    Rows, entities, pairs and answers of a case keep the numbers that they have within it; what points into another
    array points into the whole one.
    """

    def __init__(self, cases: Iterable[Case]) -> None:
        every = list(cases)
        assert every, "no case"
        self.episodes = tuple(case.episode_id for case in every)
        self.hosts = tuple(case.host for case in every)
        self.row_C1 = _starts(len(case.ts_N) for case in every)
        self.entity_C1 = _starts(len(case.rarity_E) for case in every)
        self.pair_C1 = _starts(len(case.answer_P1) - 1 for case in every)
        self.evidence_C1 = _starts(len(case.evidence_M) for case in every)
        self.tree_C = np.array([case.n_trees for case in every], np.int64)
        self.vector_ND = np.concatenate([case.vector_ND for case in every])
        self.tree_N = np.concatenate([case.tree_N for case in every])
        self.ts_N = np.concatenate([case.ts_N for case in every])
        self.mention_N1 = _pointers([case.mention_N1 for case in every])
        self.mention_M = np.concatenate([case.mention_M for case in every])
        self.kind_C1 = np.stack([case.kind_1 for case in every]).astype(np.int64)
        self.kind_E = np.concatenate([np.repeat(np.arange(len(KINDS)), np.diff(case.kind_1)) for case in every]).astype(
            np.int8
        )
        self.rarity_E = np.concatenate([case.rarity_E for case in every])
        self.pair_CQ1 = np.stack([case.pair_Q1 for case in every]).astype(np.int64)
        self.answer_P1 = _pointers([case.answer_P1 for case in every])
        self.answer_M = np.concatenate([case.answer_M for case in every])
        self.alert_C = np.array([case.alert for case in every], np.int64)
        self.alert_score_C = np.array([case.alert_score for case in every])
        self.alert_process_C = np.array([case.alert_process for case in every], np.int64)
        self.truth_CK = np.stack([case.truth_K for case in every])
        self.attack_C = self.truth_CK[:, ATTACK] == 1
        self.evidence_M = np.concatenate([case.evidence_M for case in every])
        self.technique_M = np.concatenate([case.technique_M for case in every])
        self.most_rows = int(np.diff(self.row_C1).max())
        self.most_entities = int(np.diff(self.entity_C1).max())
        self.most_pairs = int(np.diff(self.pair_C1).max())
        self.most_trees = int(self.tree_C.max())

    def __len__(self) -> int:
        return len(self.episodes)

    @property
    def n_bytes(self) -> int:
        """What the arrays take."""
        return sum(each.nbytes for each in vars(self).values() if isinstance(each, np.ndarray))


def _starts(sizes: Iterable[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(list(sizes))]).astype(np.int64)


def _pointers(each: list[NDArray[np.int32]]) -> NDArray[np.int32] | Ints:
    """Pointers of cases as pointers into what they point into, one behind the other."""
    offsets = np.cumsum([0, *(int(one[-1]) for one in each)])
    kind = np.int32 if offsets[-1] < 2**31 else np.int64
    parts = [one[:-1] + np.array(offset, kind) for one, offset in zip(each, offsets, strict=False)]
    found: NDArray[np.int32] | Ints = np.concatenate([*parts, offsets[-1:]]).astype(kind)
    return found
