"""What turns answers into probabilities and names: fitted on the fold of the train side that chose the network.

Logistic regressions (Platt 1999) of rows and of episodes, a temperature of files' techniques (Guo et al. 2017), and the
rules by which techniques are named. What does not belong here: figures of a test side (`evaluation/`).
"""

# E episodes, N rows, K techniques
# ruff: noqa: N802 - names of methods carry the shapes that they give
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from rlstir_core.arrays import Floats
from rlstir_core.investigator.answers import EpisodeAnswers, risk_of
from rlstir_core.investigator.pretraining.taught import Taught, base_log_odds
from rlstir_core.investigator.techniques.decide import NOTHING, Naming, choose_naming

_LEAST_EACH = 5  # episodes of each kind that a regression needs
_TEMPERATURES = np.geomspace(0.25, 8.0, 61)


class AnswerCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the calibration; `None` thresholds name nothing."""

    attack: tuple[float, float] = (1.0, 0.0)  # slope and offset of a row's log-odds
    tamper: tuple[float, float] = (1.0, 0.0)
    risk: tuple[float, float] = (1.0, 0.0)  # the same of an episode
    look_attack: tuple[float, float] = (1.0, 0.0)  # the same of the first look alone
    look_risk: tuple[float, float] = (1.0, 0.0)
    files_by: str = "encoder"  # what names a file's techniques: the encoder, or public texts and labelled logs: `texts`
    temperature: float = 1.0
    shows: tuple[float, float, float] = (
        1.0,
        0.0,
        0.0,
    )  # of what best rows show, of base rates, offset
    base: tuple[float, ...] = ()  # log-odds of every technique in recordings of the train side
    name_file: tuple[float | None, float | None] = (None, None)  # threshold and margin
    name_rows: tuple[float | None, float | None] = (None, None)

    def p_attack_N(self, answers: EpisodeAnswers) -> Floats:
        return np.asarray(expit(self.attack[0] * answers.attack_N.astype(np.float64) + self.attack[1]))

    def p_tamper_N(self, answers: EpisodeAnswers) -> Floats:
        return np.asarray(expit(self.tamper[0] * answers.tamper_N.astype(np.float64) + self.tamper[1]))

    def p_risk(self, answers: EpisodeAnswers) -> float:
        """How likely an attack is in the episode."""
        return float(expit(self.risk[0] * answers.risk + self.risk[1]))

    def p_look_N(self, answers: EpisodeAnswers) -> Floats:
        """How much rows look like an attack by the first look alone."""
        return np.asarray(expit(self.look_attack[0] * answers.look_N.astype(np.float64) + self.look_attack[1]))

    def p_look(self, answers: EpisodeAnswers) -> float:
        """How likely an attack is in the episode by the first look alone: the second of two linear stages."""
        return float(expit(self.look_risk[0] * risk_of(answers.look_N) + self.look_risk[1]))

    def score_K(self, answers: EpisodeAnswers, *, rows: bool) -> Floats:
        """Probabilities of techniques: by the file as a whole, or by the rows of a recording that show each best."""
        if rows:
            base_K = np.asarray(self.base) if self.base else np.zeros(len(answers.technique_K))
            return np.asarray(expit(self.shows[0] * answers.technique_K + self.shows[1] * base_K + self.shows[2]))
        return np.asarray(expit(answers.technique_K / self.temperature))

    def naming(self, *, rows: bool) -> Naming:
        threshold, margin = self.name_rows if rows else self.name_file
        return Naming(
            threshold=NOTHING if threshold is None else threshold, margin=NOTHING if margin is None else margin
        )


def calibrate(said: Sequence[EpisodeAnswers], held: Taught, learnt: Taught) -> AnswerCalibration:
    """The calibration by the episodes of the fold that chose; what they cannot teach stays as it is."""
    rows_E = held.rows_E
    found = AnswerCalibration()
    with_rows = [e for e in np.flatnonzero(rows_E) if len(said[e].attack_N)]
    if with_rows:
        truths = [truth for e in with_rows if (truth := held.truth[e]) is not None]
        attack_N = np.concatenate([truth.attack_N for truth in truths])
        tampered_N = np.concatenate([truth.tampered_N for truth in truths])
        found = msgspec.structs.replace(
            found,
            attack=_platt(np.concatenate([said[e].attack_N for e in with_rows]), attack_N),
            tamper=_platt(np.concatenate([said[e].tamper_N for e in with_rows]), tampered_N),
            risk=_risk([said[e].risk for e in with_rows], held.attack_E[with_rows]),
            look_attack=_platt(np.concatenate([said[e].look_N for e in with_rows]), attack_N),
            look_risk=_risk([risk_of(said[e].look_N) for e in with_rows], held.attack_E[with_rows]),
        )
    files = np.flatnonzero(~rows_E)
    if len(files):
        logit_EK = np.stack([said[e].technique_K for e in files])
        temperature = _temperature(logit_EK, held.technique_EK[files])
        found = msgspec.structs.replace(
            found,
            temperature=temperature,
            name_file=_numbers(choose_naming(expit(logit_EK / temperature), held.technique_EK[files])),
        )
    whole = np.flatnonzero(rows_E)
    if len(whole):
        base_K = base_log_odds(learnt.technique_EK[learnt.rows_E])
        shown_EK = np.stack([said[e].technique_K for e in whole])
        found = msgspec.structs.replace(
            found,
            base=tuple(float(each) for each in base_K),
            shows=_shows(shown_EK, base_K, held.technique_EK[whole]),
        )
        score_EK = np.stack([found.score_K(said[e], rows=True) for e in whole])
        found = msgspec.structs.replace(found, name_rows=_numbers(choose_naming(score_EK, held.technique_EK[whole])))
    if not len(whole):  # better another kind's rule than none
        found = msgspec.structs.replace(found, name_rows=found.name_file)
    if not len(files):
        found = msgspec.structs.replace(found, name_file=found.name_rows)
    return found


def _platt(logit_N: NDArray[Any], y_N: NDArray[np.bool_]) -> tuple[float, float]:
    if y_N.all() or not y_N.any():
        return 1.0, 0.0
    model = _logistic(logit_N.astype(np.float64)[:, None], y_N, strength=1.0)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return (slope, offset) if slope > 0 else (1.0, 0.0)  # a fold that is too small turns ranks around


def _shows(shown_EK: Floats, base_K: Floats, y_EK: NDArray[np.bool_]) -> tuple[float, float, float]:
    """How a technique's log-odds follow from what the best rows show and from its base rate, the same for all."""
    if not y_EK.any():
        return 1.0, 0.0, 0.0
    x = np.stack([shown_EK.ravel(), np.broadcast_to(base_K, shown_EK.shape).ravel()], axis=1)
    model = _logistic(x, y_EK.ravel(), strength=1.0)
    shown, base = (float(each) for each in model.coef_[0])
    return (shown, base, float(model.intercept_[0])) if shown > 0 else (1.0, 0.0, 0.0)


def _risk(risk_E: Sequence[float], attack_E: NDArray[np.bool_]) -> tuple[float, float]:
    few = min(attack_E.sum(), (~attack_E).sum()) < _LEAST_EACH
    return AnswerCalibration().risk if few else _platt(np.array(risk_E), attack_E)


def _logistic(x_NF: Floats, y_N: NDArray[np.bool_], strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=1_000).fit(x_NF, y_N)


def _temperature(logit_EK: Floats, y_EK: NDArray[np.bool_]) -> float:
    """By which log-odds are divided so that the cross-entropy is least."""
    losses = [
        np.mean(np.logaddexp(0.0, logit_EK / t) - y_EK * logit_EK / t) for t in _TEMPERATURES
    ]  # -log p(y), eq. 2 of arXiv:1706.04599
    return float(_TEMPERATURES[int(np.argmin(losses))])


def _numbers(naming: Naming) -> tuple[float | None, float | None]:
    threshold, margin = (None if each == NOTHING else float(each) for each in naming)
    return threshold, margin
