"""The table of predictions: labels, decisions and scores of rows, by episode of the split.

What does not belong here: thresholds and figures; this only says what was decided and by what.
"""

# N rows, K classes
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlstir_core.arrays import Bools, Floats, Ints
from rlstir_core.audit.columns import PREFIX, ColumnNames
from rlstir_core.audit.encode import AuditNames, names_of, numbers_of
from rlstir_core.audit.material import AuditRows
from rlstir_core.audit.tables import AuditedTable
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.text import plain, shown

MOST_CLASSES = 64
_YES = frozenset({"1", "true", "yes", "malware", "malicious", "attack", "infected", "positive", "bad", "anomaly"})
_NO = frozenset({"0", "false", "no", "-1", "benign", "clean", "normal", "negative", "good", "goodware"})


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictionsTable:
    rows: AuditRows
    classes: tuple[str, ...]
    n_rows: int
    n_without_label: int
    n_without_decision: int
    unknown: tuple[str, ...]
    n_unknown: int
    argmax_differs: int | None
    positive: int | None
    decided_by: str
    why_no_score: str
    read_as: dict[str, str]


@dataclass
class _Columns:
    """What the table was found to have, whole."""

    y_N: Ints
    decided_N: Ints | None
    best_N: Ints | None  # the most probable class
    score_N: Floats | None
    threshold_N: Floats | None


def read_predictions(
    file: AuditedTable, naming: ColumnNames, split: AuditNames, positive_name: str | None
) -> PredictionsTable:
    """StoreError or ConfigError where a column that is needed is missing, or holds what it may not."""
    found = {meaning: naming.find(meaning, file.names) for meaning in ("predicted", "score", "threshold", "time_s")}
    own = naming.need("episode", file.names, file.where)
    label = naming.need("label", file.names, file.where)
    probabilities = naming.classes(file.names)
    if found["predicted"] is None and found["score"] is None and not probabilities:
        naming.need("predicted", file.names, f"{file.where} has neither 'score' nor '{PREFIX}<class>', and")
    texts = [name for name in (own, label, found["predicted"]) if name]
    numbers = [name for name in (found["score"], found["threshold"], found["time_s"]) if name]
    table = file.read(texts, [*numbers, *probabilities.values()])
    if not table.num_rows:
        raise StoreError(f"{file.where} has no row; an audit needs the predictions of the test episodes")

    def text(name: str) -> tuple[Ints, AuditNames]:
        return names_of(table.column(name), f"column {shown(name)} of {file.where}")

    def number(meaning: str) -> Floats | None:
        name = found[meaning]
        return None if name is None else _numbers(table, name, file.where)

    label_N, label_names = text(label)
    said_N, said_names = text(found["predicted"]) if found["predicted"] else (None, None)
    classes = _classes(file.where, label_names, said_names, tuple(probabilities))
    columns = _Columns(
        y_N=_recoded(label_N, label_names, classes),
        decided_N=None if said_N is None or said_names is None else _recoded(said_N, said_names, classes),
        best_N=_most_probable(table, probabilities, classes, file.where) if len(probabilities) > 1 else None,
        score_N=number("score"),
        threshold_N=number("threshold"),
    )
    positive, why = _score_of(columns, table, probabilities, classes, positive_name, file.where)
    decided_N, by = _decided(columns, classes, positive, why, file.where)
    episode_N, names = text(own)
    in_split_N = np.append(names.places_in(split), -1)[episode_N]
    unknown = np.flatnonzero(names.places_in(split) < 0)
    y_N = columns.y_N
    kept_N = (in_split_N >= 0) & (y_N >= 0) & (decided_N >= 0)
    rows = AuditRows(
        episode_N=in_split_N,
        y_N=y_N,
        decided_N=decided_N,
        place_N=np.arange(len(y_N)),
        score_N=columns.score_N if positive is not None else None,
        threshold_N=columns.threshold_N if positive is not None else None,
        time_s_N=number("time_s"),
    )
    best_N = columns.best_N
    return PredictionsTable(
        rows=rows.where(kept_N),
        classes=classes,
        n_rows=table.num_rows,
        n_without_label=int((y_N < 0).sum()),
        n_without_decision=int((decided_N < 0).sum()),
        unknown=names.first(unknown, 5),
        n_unknown=len(unknown) + int((episode_N < 0).any()),
        argmax_differs=None if best_N is None else int((best_N != decided_N)[kept_N & (best_N >= 0)].sum()),
        positive=positive,
        decided_by=by,
        why_no_score=why,
        read_as={
            own: "episode",
            label: "label",
            **{name: meaning for meaning, name in found.items() if name},
            **{name: f"score of class {plain(each, 60)}" for each, name in probabilities.items()},
        },
    )


def _numbers(table: Any, name: str, where: str) -> Floats:
    return numbers_of(table.column(name), f"column {shown(name)} of {where}")


def _classes(where: str, labels: AuditNames, said: AuditNames | None, scored: tuple[str, ...]) -> tuple[str, ...]:
    for names in (labels, *(() if said is None else (said,))):
        if len(names) > MOST_CLASSES:
            raise StoreError(
                f"{where} has {len(names):,} classes ({names.of(0)}, {names.of(1)}, ...); at most {MOST_CLASSES} are "
                "looked at, so name the column of classes, or put classes together"
            )
    true = set(labels.all())
    known = sorted(true | set(() if said is None else said.all()) | set(scored))
    if len(known) > MOST_CLASSES:
        raise StoreError(f"{where} has {len(known):,} classes with those of its scores; at most {MOST_CLASSES} are")
    if said is not None and true and len(known) > 2 and not true & set(said.all()):
        raise StoreError(
            f"{where} predicts {shown(said.of(0) if len(said) else '')} where labels say {shown(labels.of(0))}: no "
            "class is named alike; write both columns in the same words"
        )
    if len(known) < 2 or not true:
        raise StoreError(
            f"{where} knows of fewer than two classes ({', '.join(known) or 'none'}); nothing can be told apart"
        )
    return tuple(known)


def _recoded(code_N: Ints, names: AuditNames, classes: tuple[str, ...]) -> Ints:
    place = {name: k for k, name in enumerate(classes)}
    return np.array([*(place[name] for name in names.all()), -1], np.int64)[code_N]


def _most_probable(table: Any, columns: Mapping[str, str], classes: tuple[str, ...], where: str) -> Ints:
    """The class of the greatest score, -1 in rows that lack one."""
    best_N = np.full(table.num_rows, -1, np.int64)
    top_N = np.full(table.num_rows, -np.inf)
    lacks_N = np.zeros(table.num_rows, np.bool_)
    for name in (name for name in classes if name in columns):
        value_N = _numbers(table, columns[name], where)
        lacks_N |= np.isnan(value_N)
        above_N = value_N > top_N
        best_N[above_N] = classes.index(name)
        top_N = np.where(above_N, value_N, top_N)
    best_N[lacks_N] = -1
    return best_N


def _score_of(
    columns: _Columns,
    table: Any,
    probabilities: Mapping[str, str],
    classes: tuple[str, ...],
    asked: str | None,
    where: str,
) -> tuple[int | None, str]:
    """(the class that the score speaks for, why there is none); puts that class's score into `columns`."""
    if asked is not None and asked not in classes:
        known = ", ".join(plain(each, 60) for each in classes[:8])
        raise ConfigError(f"--positive {shown(asked)} is no class of {where}; choose one of {known}")
    if len(classes) != 2:
        return None, f"there are {len(classes)} classes and thresholds are looked at for two"
    if columns.score_N is None and not probabilities:
        return None, f"the predictions have no column `score` or `{PREFIX}<class>`"
    positive = classes.index(asked) if asked is not None else _positive(classes)
    if columns.score_N is None:
        name = classes[positive] if positive is not None and classes[positive] in probabilities else min(probabilities)
        columns.score_N = _numbers(table, probabilities[name], where)
        return classes.index(name), ""
    if positive is None and columns.decided_N is not None:
        means = [_mean(columns.score_N[columns.decided_N == k]) for k in (0, 1)]
        positive = None if not np.isfinite(means).all() else int(means[1] > means[0])
    return (
        positive,
        "" if positive is not None else "nothing says which class `score` speaks for (--positive CLASS does)",
    )


def _mean(value_N: Floats) -> float:
    known_N = value_N[~np.isnan(value_N)]
    return float(known_N.mean()) if len(known_N) else float("nan")


def _positive(classes: tuple[str, ...]) -> int | None:
    """Which of two classes is the attack, by its name; None where names do not say."""
    words = [name.strip().lower() for name in classes]
    for k in (0, 1):
        if (words[k] in _YES and words[1 - k] not in _YES) or (words[1 - k] in _NO and words[k] not in _NO):
            return k
    return None


def _decided(
    columns: _Columns, classes: tuple[str, ...], positive: int | None, why: str, where: str
) -> tuple[Ints, str]:
    if columns.decided_N is not None:
        return columns.decided_N, "the column of decisions"
    if columns.best_N is not None:
        return columns.best_N, "the most probable class"
    if columns.score_N is None or positive is None:
        raise ConfigError(f"{where} has no column 'predicted', and decisions cannot be made of its scores: {why}")
    score_N, limit_N = columns.score_N, columns.threshold_N
    by = "score at or above the column of thresholds"
    if limit_N is None:
        if np.nanmin(score_N, initial=np.inf) < 0 or np.nanmax(score_N, initial=-np.inf) > 1:
            raise ConfigError(
                f"{where} has scores beyond 0 to 1 and neither 'predicted' nor 'threshold', so decisions are unknown; "
                "add one of the two columns"
            )
        limit_N, by = np.full(len(score_N), 0.5), "score at or above .5"
    decided_N = np.where(score_N >= limit_N, positive, 1 - positive)
    lacks_N: Bools = np.isnan(score_N) | np.isnan(limit_N)
    return np.where(lacks_N, -1, decided_N), by
