"""Everything that is said of the test side, written before a label of it is read.

Techniques, tactics and risks of episodes, how much each row looks like an attack, and where logs look tampered with, by
the encoder and by all that stands beside it. What does not belong here: labels of the test side and figures.
"""

# E episodes, K techniques of the label space, C ids that a model can say
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.errors import CheckpointError
from rlstir_core.evaluation.investigation.baselines import TrainAndTest, beside_encoder
from rlstir_core.evaluation.investigation.predictions import Spoken, write_risk, write_tactics, write_techniques
from rlstir_core.evaluation.investigation.records import ENCODER, TWO_STAGES, SigmaUse
from rlstir_core.evaluation.investigation.row_predictions import RowWriter
from rlstir_core.evaluation.investigation.sigma_baseline import SIGMA, sigma_spoken
from rlstir_core.evaluation.investigation.tamper_predictions import HeldRules, SaidTampering, TamperWriter, said_of
from rlstir_core.evaluation.investigation.technique_baselines import KNOWLEDGE, KNOWLEDGE_AND_LOGS, knowledge_spoken
from rlstir_core.hostlogs.store import opened_rows
from rlstir_core.investigator.answers import answers_of
from rlstir_core.investigator.checkpoint import EncoderCheckpoint, load_encoder
from rlstir_core.investigator.inputs import LogInputs
from rlstir_core.investigator.pretraining.calibrated import AnswerCalibration
from rlstir_core.investigator.pretraining.taught import taught_of
from rlstir_core.investigator.reading.tokenizer import load_tokenizer
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.documents import Document, episode_document
from rlstir_core.investigator.techniques.kept import KeptDocuments
from rlstir_core.investigator.techniques.knowledge import Knowledge, fit_knowledge, fitted, read_texts
from rlstir_core.investigator.techniques.labels import LABELS, exact_techniques, given_tactics
from rlstir_core.investigator.techniques.priors import priors
from rlstir_core.investigator.techniques.row_truth import says_rows
from rlstir_core.investigator.techniques.tactics import TACTICS, averaged, fit_tactics, tactic_posteriors, tactic_table
from rlstir_core.learning.devices import device
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.progress import Tell

PREDICTIONS: Final = ("techniques", "tactics", "risk", "row_attacks", "rows", "spans", "files")
_NOTHING_KEPT = CacheBudget(0)  # every episode is read once
_NOTHING = -1e3  # the score of an id that a model cannot say


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What the encoder says of the episodes of the test side."""

    technique_EK: Floats  # scores between 0 and 1
    risk_E: Floats
    look_E: Floats


def say(
    study: InvestigatorStudy, checkpoint: EncoderCheckpoint, tell: Tell
) -> tuple[Knowledge | None, SigmaUse | None]:
    """Writes every table of predictions; gives the model of public texts and the Sigma rules, None without them."""
    layout, test = study.layout, study.test
    knowledge = fit_knowledge(layout)
    of_train = KeptDocuments(episode_document(layout, info, study.train_hosts) for info in study.train)
    documents = KeptDocuments((episode_document(layout, info, study.split.hosts) for info in test), of_train)
    read = _read(study, checkpoint, knowledge, tell)
    with_logs = _knowledge_and_logs(study, of_train) if knowledge is not None else None
    choosing = study.sides[1]
    chosen = {info.episode_id for info in choosing}
    beside = beside_encoder(
        study,
        TrainAndTest(
            train=study.train,
            taught=taught_of(layout, study.train, rows=False),
            chosen=np.array([info.episode_id in chosen for info in study.train], np.bool_),
            test=test,
            train_documents=of_train,
            test_documents=documents,
        ),
        knowledge,
        tell,
    )
    techniques = {ENCODER: _of_encoder(test, read.technique_EK, checkpoint.calibration, with_logs, documents)}
    techniques |= beside.techniques
    if with_logs is not None:
        techniques[KNOWLEDGE_AND_LOGS] = knowledge_spoken(with_logs, documents)
    of_choosing = exact_techniques(layout, choosing)
    by_rules, sigma = sigma_spoken(layout, test, choosing, [of_choosing[info.episode_id] for info in choosing], tell)
    if by_rules is not None:
        techniques[SIGMA] = by_rules
    paths = {what: layout.encoder_predictions(checkpoint.recipe, what) for what in PREDICTIONS}
    write_techniques(paths["techniques"], test, techniques)
    tactics = _tactics(study, techniques, knowledge)
    if KNOWLEDGE_AND_LOGS in tactics:
        tactics[KNOWLEDGE_AND_LOGS] = _by_logs_as_well(study, tactics[KNOWLEDGE_AND_LOGS], of_train, documents)
    write_tactics(paths["tactics"], test, TACTICS, tactics)
    risks = {ENCODER: read.risk_E, TWO_STAGES: read.look_E} if any(map(says_rows, test)) else {}
    write_risk(paths["risk"], test, risks | beside.risk)
    return knowledge, sigma


def _read(study: InvestigatorStudy, checkpoint: EncoderCheckpoint, knowledge: Knowledge | None, tell: Tell) -> _Read:
    """Reads the test side once: rows are written as they are read."""
    layout, test = study.layout, study.test
    tokenizer, manifest = load_tokenizer(study)
    _, network = load_encoder(layout, checkpoint.recipe, manifest.model_sha256)
    if network.pieces != tokenizer.size:
        raise CheckpointError(f"{layout.encoder(checkpoint.recipe)} has other pieces than its tokenizer")
    on = device(study.numbers.train.device)
    network.to(on)
    rules = HeldRules()
    shown = LogInputs(
        study,
        test,
        tokenizer,
        priors(layout, knowledge if study.numbers.investigator.without != "knowledge" else None, study.split.hosts),
        hosts=study.split.hosts,
        budget=_NOTHING_KEPT,
        tampering=rules.add,
    )
    by = checkpoint.calibration
    techniques, risk, look = [], [], []
    paths = {what: layout.encoder_predictions(checkpoint.recipe, what) for what in PREDICTIONS}
    with (
        RowWriter(paths["row_attacks"]) as attacks,
        TamperWriter(paths["rows"], paths["spans"], paths["files"]) as tampering,
    ):
        for done, (info, answers) in enumerate(zip(test, answers_of(network, shown, on), strict=True), 1):
            rows = says_rows(info)
            techniques.append(by.score_K(answers, rows=rows))
            risk.append(by.p_risk(answers))
            look.append(by.p_look(answers))
            with opened_rows(layout, info.host, info.own_id) as file:
                table = file.read(use_threads=False)
            said = said_of(table, ours=rules.taken(info, len(table)))
            if rows and len(answers.attack_N) == len(table):
                by_model = {ENCODER: by.p_attack_N(answers), TWO_STAGES: by.p_look_N(answers)}
                attacks.add(info.episode_id, table, by_model)
                said[ENCODER] = SaidTampering(spans=(), p_N=by.p_tamper_N(answers), flagged=frozenset())
            tampering.add(info.episode_id, table, said)
            if done % 50 == 0:
                tell(f"encoder: {done} of {len(test)} episodes of the test side")
    return _Read(technique_EK=np.stack(techniques), risk_E=np.array(risk), look_E=np.array(look))


def _knowledge_and_logs(study: InvestigatorStudy, documents: Sequence[Document]) -> Knowledge | None:
    """Public texts with labelled files of the train side as further documents."""
    files = _files(study)
    texts = read_texts(study.layout)
    if not files or texts is None:
        return None
    carried = exact_techniques(study.layout, [study.train[place] for place in files])
    return fitted(
        *texts, ((documents[place], own) for place in files if (own := carried[study.train[place].episode_id]))
    )


def _files(study: InvestigatorStudy) -> list[int]:
    """Which episodes of the train side are imported logs."""
    return [place for place, info in enumerate(study.train) if not says_rows(info)]


def _of_encoder(
    test: Sequence[EpisodeInfo],
    technique_EK: Floats,
    by: AnswerCalibration,
    with_logs: Knowledge | None,
    documents: Sequence[Document],
) -> Spoken:
    """What the encoder says: of recordings by their rows, of imported files as the fold of another corpus chose."""
    rows_E = np.array([says_rows(info) for info in test], np.bool_)
    named_EK = np.where(
        rows_E[:, None], by.naming(rows=True).named(technique_EK), by.naming(rows=False).named(technique_EK)
    )
    if with_logs is None or by.files_by == "encoder" or rows_E.all():
        return Spoken(LABELS, technique_EK, by.naming(rows=bool(rows_E.all())), named_EK)
    ids = (*with_logs.ids, *(label for label in LABELS if label not in with_logs.ids))
    column = {own: c for c, own in enumerate(ids)}
    of_label = np.array([column[label] for label in LABELS])
    score_EC = np.full((len(test), len(ids)), _NOTHING)
    named_EC = np.zeros(score_EC.shape, np.bool_)
    recordings, files = np.flatnonzero(rows_E), np.flatnonzero(~rows_E)
    score_EC[recordings[:, None], of_label] = np.log(technique_EK[recordings] + 1e-12)
    named_EC[recordings[:, None], of_label] = named_EK[recordings]
    told = knowledge_spoken(with_logs, [documents[e] for e in files])
    score_EC[files, : len(with_logs.ids)] = told.score_EC
    named_EC[files, : len(with_logs.ids)] = told.says_EC
    return Spoken(ids, score_EC, told.naming, named_EC)


def _tactics(
    study: InvestigatorStudy, techniques: Mapping[str, Spoken], knowledge: Knowledge | None
) -> dict[str, Floats]:
    """Tactics by the techniques of the models that rank all of them."""
    table = tactic_table(study.layout)
    found = {}
    for model in (ENCODER, KNOWLEDGE, KNOWLEDGE_AND_LOGS):
        spoken = techniques.get(model)
        if spoken is None or (model == ENCODER and knowledge is None):
            continue
        said_EC = spoken.score_EC
        if model == ENCODER and spoken.ids is LABELS:
            said_EC = np.log(said_EC + 1e-12)
        found[model] = tactic_posteriors(_normalised(said_EC), spoken.ids, table)
    return found


def _by_logs_as_well(
    study: InvestigatorStudy, tactic_ET: Floats, of_train: KeptDocuments, documents: KeptDocuments
) -> Floats:
    """Tactics averaged with what the tactics of labelled files say of such words."""
    files = _files(study)
    given = given_tactics(study.layout, [study.train[place] for place in files])
    labelled = [place for place in files if given[study.train[place].episode_id]]
    model = fit_tactics(of_train.among(labelled), [given[study.train[place].episode_id] for place in labelled])
    return averaged(tactic_ET, model, documents)


def _normalised(said_EC: Floats) -> Floats:
    said_EC = said_EC - said_EC.max(axis=1, keepdims=True)
    found: Floats = said_EC - np.log(np.exp(said_EC).sum(axis=1, keepdims=True))
    return found
