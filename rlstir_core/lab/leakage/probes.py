"""Models that should not be able to tell what they are asked: the figures behind the leakage checks.

Everything is scored on episodes that the model has not seen, save the stump, whose best word is chosen in hindsight:
that flatters it, and the check with it is the stricter. What does not belong here: bars (`gates.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer

from rlstir_core.arrays import Floats, Ints
from rlstir_core.lab.leakage.facts import EpisodeFacts
from rlstir_core.lab.leakage.gate import Figure

FOLDS = 5
DRAWS = 400
_RARE = 5  # a word that fewer episodes have cannot tell much
_SEED = 20_260_301


def stump(facts: Sequence[EpisodeFacts]) -> Figure:
    """The best AUROC of one word's count, attack against benign, in the logs of one system: none may tell attacks."""
    best = Figure(value=0.5, lo=0.5, hi=0.5)
    for system, here in by_system(facts).items():
        label_E = np.array([not each.benign for each in here], dtype=np.int64)
        if min(label_E.sum(), len(label_E) - label_E.sum()) < 2:
            continue
        count_EV, words = _matrix([each.words for each in here], _RARE)
        for at, word in enumerate(words):
            score_E = np.asarray(count_EV[:, [at]].todense()).ravel()
            value = _auroc(score_E, label_E)
            if max(value, 1 - value) > best.value:
                sign = 1.0 if value >= 0.5 else -1.0
                lo, hi = _interval(label_E, lambda draw: _auroc(sign * score_E[draw], label_E[draw]))  # noqa: B023
                best = Figure(value=max(value, 1 - value), lo=lo, hi=hi, what=f"{word!r} on {system}")
    return best


def by_system(facts: Sequence[EpisodeFacts]) -> dict[str, list[EpisodeFacts]]:
    """Episodes by the operating system that their logs are of."""
    found: dict[str, list[EpisodeFacts]] = {}
    for each in facts:
        windows = {"rows sysmon", "rows evtx"} & each.numbers.keys()
        found.setdefault("Windows" if windows else "Linux", []).append(each)
    return found


def scenarios(facts: Sequence[EpisodeFacts]) -> Figure:
    """Macro F1 over scenarios of a bag of templates and logistic regression, cross-validated over attack episodes."""
    attacks = [each for each in facts if not each.benign]
    names, label_E = np.unique([each.lab.story for each in attacks], return_inverse=True)
    count_EV, _ = _matrix([each.templates for each in attacks], 2)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=_SEED)
    # presence, rare templates weighing more
    bag = make_pipeline(Binarizer(), TfidfTransformer(norm=None), LogisticRegression(max_iter=500, tol=1e-2))
    predicted_E = cross_val_predict(bag, count_EV.tocsr(), label_E, cv=folds)
    value = float(f1_score(label_E, predicted_E, average="macro"))
    lo, hi = _interval(
        label_E,
        lambda draw: float(
            f1_score(label_E[draw], predicted_E[draw], average="macro", labels=range(len(names)), zero_division=0.0)
        ),
    )
    return Figure(value=value, lo=lo, hi=hi, what=f"{len(names)} scenarios")


def metadata(facts: Sequence[EpisodeFacts]) -> Figure:
    """AUROC, attack against benign, of a forest that sees only numbers: counts, durations, host, users, pids, sizes."""
    label_E = np.array([not each.benign for each in facts], dtype=np.int64)
    number_EV, _ = _matrix([each.numbers for each in facts], 1)
    x_EV = np.asarray(number_EV.todense())
    score_E = np.zeros(len(facts))
    for turn in range(3):  # the split of the folds is noise as well
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=_SEED + turn)
        forest = RandomForestClassifier(150, min_samples_leaf=5, random_state=turn)
        score_E += cross_val_predict(forest, x_EV, label_E, cv=folds, method="predict_proba")[:, 1]
    lo, hi = _interval(label_E, lambda draw: _auroc(score_E[draw], label_E[draw]))
    return Figure(value=_auroc(score_E, label_E), lo=lo, hi=hi)


def overlap(facts: Sequence[EpisodeFacts]) -> Figure:
    """The share of templates of attack events that occur in benign episodes as well."""
    benign = [set(each.templates) for each in facts if each.benign]
    attack = [each.attack_templates for each in facts if not each.benign]

    def share(attacks: Sequence[frozenset[str]]) -> float:
        seen = frozenset().union(*attacks)
        return len(seen & frozenset().union(*benign)) / len(seen) if seen else 0.0

    lo, hi = _interval(np.zeros(len(attack), np.int64), lambda draw: share([attack[at] for at in draw]))
    value = share(attack)
    return Figure(value=value, lo=min(lo, value), hi=max(hi, value))


def rate(flags: Sequence[bool]) -> Figure:
    """A share of episodes."""
    flag_E = np.array(flags, dtype=np.float64)
    lo, hi = _interval(np.zeros(len(flag_E), np.int64), lambda draw: float(flag_E[draw].mean()))
    return Figure(value=float(flag_E.mean()), lo=lo, hi=hi)


def _matrix(counts: Sequence[dict[str, int] | dict[str, float]], at_least: int) -> tuple[sparse.csc_matrix, list[str]]:
    """(episodes, names) of counts, names that at least so many episodes have, in alphabetical order."""
    seen: dict[str, int] = {}
    for each in counts:
        for name in each:
            seen[name] = seen.get(name, 0) + 1
    names = sorted(name for name, n in seen.items() if n >= at_least)
    place = {name: at for at, name in enumerate(names)}
    entries = [
        (row, place[name], float(n)) for row, each in enumerate(counts) for name, n in each.items() if name in place
    ]
    rows, columns, values = (list(part) for part in zip(*entries, strict=True)) if entries else ([], [], [])
    return sparse.csc_matrix((values, (rows, columns)), shape=(len(counts), len(names))), names


def _auroc(score_E: Floats, label_E: Ints) -> float:
    n_one = int(label_E.sum())
    n_zero = len(label_E) - n_one
    if not n_one or not n_zero:
        return 0.5
    rank_E = rankdata(score_E)
    return float((rank_E[label_E == 1].sum() - n_one * (n_one + 1) / 2) / (n_one * n_zero))


def _interval(label_E: Ints, figure: Callable[[NDArray[np.int64]], float]) -> tuple[float, float]:
    """Percentile bootstrap over episodes, within each label."""
    rng = np.random.default_rng(_SEED)
    groups = [np.flatnonzero(label_E == label) for label in np.unique(label_E)]
    found = []
    for _ in range(DRAWS):
        draw = np.concatenate([rng.choice(group, len(group)) for group in groups])
        found.append(figure(draw))
    lo, hi = np.percentile(found, [2.5, 97.5])
    return float(lo), float(hi)
