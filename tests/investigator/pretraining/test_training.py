"""Training and evaluation on a small store of logs alone in which commands tell the techniques."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from logs_world import CANARY_HOST, CANARY_RULE, TELLS, LogsWorld, build_world, sigma_rules

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.evaluation.investigation import baselines, encoder_eval, judging, saying
from rlstir_core.evaluation.investigation.encoder_eval import (
    encoder_evaluation_is_current,
    evaluate_encoder,
    forget_evaluation,
    read_encoder_evaluation,
)
from rlstir_core.evaluation.investigation.records import EncoderEvaluation
from rlstir_core.evaluation.investigation.saying import PREDICTIONS
from rlstir_core.evaluation.report.encoder_card import render_encoder_card
from rlstir_core.hostlogs.sigma.rules import NO_PYSIGMA, pysigma_version
from rlstir_core.importers.knowledge import import_knowledge
from rlstir_core.importers.sigma import import_sigma
from rlstir_core.investigator.checkpoint import load_encoder, load_start, read_encoder
from rlstir_core.investigator.inputs import LogInputs
from rlstir_core.investigator.pretraining import taught
from rlstir_core.investigator.pretraining.loop import Loop
from rlstir_core.investigator.pretraining.state import States
from rlstir_core.investigator.pretraining.together import TrainingFailed
from rlstir_core.investigator.pretraining.training import fit, kept_encoder, lessons, train_encoder
from rlstir_core.investigator.reading.hashing import hashed
from rlstir_core.investigator.reading.tokenizer import build_tokenizer, load_tokenizer, read_manifest
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques import labels, row_truth
from rlstir_core.investigator.techniques.knowledge import fit_knowledge
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.results.layout import Layout


def silent(_: str) -> None:
    return


def own_study(world: LogsWorld, root: Path, *more: str) -> InvestigatorStudy:
    shutil.copytree(world.layout.data, root, dirs_exist_ok=True)
    return dataclasses.replace(world.study(*more), layout=Layout(root))


def made(study: InvestigatorStudy) -> EncoderEvaluation:
    build_tokenizer(study, silent)
    train_encoder(study, silent)
    return evaluate_encoder(study, silent)[0]


@pytest.fixture(scope="module")
def trained(world: LogsWorld, tmp_path_factory: pytest.TempPathFactory) -> InvestigatorStudy:
    """Tokenizer, encoder and evaluation. Look, do not touch."""
    study = own_study(world, tmp_path_factory.mktemp("trained"))
    made(study)
    return study


def scores(found: EncoderEvaluation) -> dict[str, float | None]:
    return {each.name: each.micro_f1.value for each in found.models}


def test_an_encoder_learns_what_tells_the_techniques_and_is_judged_beside_what_knows_less(
    trained: InvestigatorStudy,
) -> None:
    found = read_encoder_evaluation(trained.layout, "host", trained.split)
    assert found is not None and encoder_evaluation_is_current(trained)
    f1 = scores(found)
    assert set(f1) == {"encoder", "majority", "bag-of-words", "svm"} == {"encoder", *found.paired}
    assert f1["encoder"] > 0.6 > 0.5 > f1["majority"]  # type: ignore[operator]
    assert [("rlstir import " in each) for each in found.lacks] == [True, True] and found.files_by == "encoder"
    card = trained.layout.encoder("host").with_name("encoder.card.md").read_text()
    assert "weights, gradients, optimiser" in card and "operations of a batch" in card and "no interval" in card
    assert (found.n_test_episodes, found.n_with_technique, found.prevalence) == (8, 4, 0.5)
    assert all("no interval below 20" in each.micro_f1.note for each in found.models)
    assert evaluate_encoder(trained, silent)[1] is False and train_encoder(trained, silent)[1] is False


def test_rows_risks_and_tampering_of_the_test_side_are_judged_beside_what_knows_less(
    trained: InvestigatorStudy,
) -> None:
    found = read_encoder_evaluation(trained.layout, "host")
    assert found is not None and found.row_prevalence is not None
    of = {each.name: each for each in found.risks}
    assert set(of) == {"encoder", "two-linear-stages", "majority", "bag-of-words"}
    for name in ("encoder", "two-linear-stages"):
        row_ap = of[name].row_ap
        assert row_ap is not None and row_ap.value is not None and row_ap.value > 0.9 > 0.2 > found.row_prevalence
        risk = of[name].risk_auroc.value
        assert risk is not None and risk >= 15 / 16  # one pair of 4 attacks and 4 others may stand the wrong way round
    assert of["majority"].risk_auroc.value == 0.5 and of["majority"].row_ap is None
    assert set(found.paired_risk) == {"two-linear-stages", "majority", "bag-of-words"}
    assert set(found.paired_rows) == {"two-linear-stages"}
    assert {each.name for each in found.tamper} == {"rules", "gap-rules", "chainsaw"}
    assert all((each.n_tampered, each.n_honest) == (1, 7) for each in found.tamper)
    rows = {each.name: each.row_ap.value for each in found.tamper_rows}
    assert rows["rules"] is not None and found.tamper_prevalence is not None
    assert rows["rules"] > 3 * found.tamper_prevalence > 0 and "encoder" in rows


def test_predictions_are_ranked_and_tell_which_are_named(trained: InvestigatorStudy) -> None:
    def read(what: str) -> list[dict[str, Any]]:
        return list(pq.read_table(trained.layout.encoder_predictions("host", what)).to_pylist())

    rows, tested = read("techniques"), {info.episode_id: info for info in trained.test}
    assert {row["episode_id"] for row in rows} == set(tested)
    of_one = [row for row in rows if row["model"] == "encoder" and row["episode_id"] == rows[0]["episode_id"]]
    assert [row["rank"] for row in of_one] == list(range(1, len(of_one) + 1)) and len(of_one) >= 10
    assert [row["score"] for row in of_one] == sorted((row["score"] for row in of_one), reverse=True)
    threshold, margin = read_encoder(trained.layout, "host").calibration.name_rows
    assert threshold is not None and margin is None
    assert all(row["named"] == (row["score"] >= threshold) for row in rows if row["model"] == "encoder")
    assert {row["model"] for row in read("risk")} == {"encoder", "two-linear-stages", "majority", "bag-of-words"}
    attacks = read("row_attacks")
    assert {row["model"] for row in attacks} == {"encoder", "two-linear-stages"}
    for episode, info in tested.items():  # one likelihood a row, in the order of the table
        table = pq.read_table(trained.layout.log_events(info.host) / f"{info.own_id}.parquet")
        of_one = [row for row in attacks if row["episode_id"] == episode and row["model"] == "encoder"]
        assert [(row["member"], row["seq"]) for row in of_one] == list(
            zip(table["member"].to_pylist(), table["seq"].to_pylist(), strict=True)
        )
        assert all(0 < row["p_attack"] < 1 for row in of_one)


def test_predictions_are_written_before_a_label_of_the_test_side_is_read(
    trained: InvestigatorStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained.layout.data, tmp_path, dirs_exist_ok=True)
    study = dataclasses.replace(trained, layout=Layout(tmp_path))
    tested = {info.episode_id for info in study.test}
    paths = [study.layout.encoder_predictions("host", what) for what in PREDICTIONS]
    forget_evaluation(study.layout, "host")
    assert not any(path.exists() for path in paths)
    seen: list[str] = []

    def watch(module: Any, name: str) -> None:
        read = getattr(module, name)

        def watched(layout: Layout, of: Any, **more: Any) -> Any:
            infos = [of] if isinstance(of, EpisodeInfo) else of
            if tested & {info.episode_id for info in infos}:
                assert all(path.exists() for path in paths), f"{name} reads labels before the predictions are written"
                seen.append(name)
            return read(layout, of, **more)

        monkeypatch.setattr(module, name, watched)

    for module in (encoder_eval, judging, saying, taught, baselines, labels, row_truth):
        for name in ("exact_techniques", "given_tactics", "episode_techniques", "row_truth", "taught_of"):
            if callable(getattr(module, name, None)):
                watch(module, name)
    assert evaluate_encoder(study, silent)[1] is True
    assert set(seen) == {"exact_techniques", "row_truth"}


def test_no_canary_reaches_a_token_or_a_hashed_word_of_what_a_model_is_shown(trained: InvestigatorStudy) -> None:
    tokenizer, _ = load_tokenizer(trained)
    raw = [f"{CANARY_HOST} {CANARY_HOST}.lab.example {CANARY_HOST}$ lab.example maria", CANARY_RULE, *TELLS]
    forbidden = set(hashed([*raw, *map(str.lower, raw), *map(str.upper, raw)]).indices.tolist())
    shown = LogInputs(
        trained, trained.split.episodes, tokenizer, None, hosts=trained.split.hosts, budget=CacheBudget(1 << 26)
    )
    assert len(shown) == 32
    known, decoded = set[int](), []
    for place in range(len(shown)):
        part = shown[place]
        known |= set(part.words_UW.indices.tolist())
        decoded += [tokenizer.decode(np.frombuffer(row, np.int32).tolist()) for row in part.tokens]
    assert not known & forbidden
    assert not any(word in text for text in decoded for word in ("canary", "maria", "lab.example", "t1059"))
    assert set(hashed(["crontab"]).indices.tolist()) <= known and any("crontab" in text for text in decoded)


def test_permuted_labels_teach_nothing(world: LogsWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the train side are attacks and techniques by lot; those of the test side are what they are."""
    study = own_study(world, tmp_path, "investigator.epochs=2")
    trained_on = {info.episode_id for info in study.train}
    rng = np.random.default_rng(0)

    def shuffled(layout: Layout, info: EpisodeInfo) -> row_truth.RowTruth:
        found = row_truth.row_truth(layout, info)
        assert info.episode_id in trained_on
        order_N = rng.permutation(len(found.attack_N))
        return dataclasses.replace(
            found,
            attack_N=found.attack_N[np.argsort(order_N)],
            row_M=order_N[found.row_M],
            technique_M=rng.permutation(found.technique_M),
        )

    monkeypatch.setattr(taught, "row_truth", shuffled)
    found = made(study)
    risks = {each.name: each for each in found.risks}
    for name in ("encoder", "two-linear-stages"):
        auroc = risks[name].row_auroc
        assert auroc is not None and auroc.value is not None and 0.2 < auroc.value < 0.8
    assert scores(found)["encoder"] < 0.4  # type: ignore[operator]


def test_equal_inputs_give_equal_weights_and_a_training_that_was_stopped_goes_on(
    world: LogsWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = set()
    for run in ("whole", "stopped"):
        study = own_study(world, tmp_path / run, "investigator.epochs=2")
        build_tokenizer(study, silent)
        if run == "stopped":
            with monkeypatch.context() as within:
                within.setattr(States, "due", lambda _: True)
                within.setattr(Loop, "_look", look_and_stop(after=2))
                with pytest.raises(Stopped):
                    train_encoder(study, silent)
            assert state_of(study).exists()
        told: list[str] = []
        hashes.add(train_encoder(study, told.append)[0].sidecar_sha256)
        first = next(line for line in told if not line.startswith("first look"))
        assert first.startswith("epoch 1" if run == "whole" else "training goes on from epoch 1, step")
        assert not state_of(study).exists()
    assert len(hashes) == 1


class Stopped(Exception):
    pass


def look_and_stop(after: int) -> Callable[[Loop[Any]], float]:
    """Looks at validation so often before it fails."""
    look, seen = Loop._look, count(1)

    def looking(loop: Loop[Any]) -> float:
        if next(seen) == after:
            raise Stopped
        return look(loop)

    return looking


def state_of(study: InvestigatorStudy) -> Path:
    return study.layout.encoder("host").with_name("encoder.state.safetensors")


def test_a_training_may_begin_with_a_smaller_encoder_and_says_what_that_one_said(
    trained: InvestigatorStudy, world: LogsWorld, tmp_path: Path
) -> None:
    small = read_encoder(trained.layout, "host")
    path = trained.layout.encoder("host")
    shutil.copytree(trained.layout.artifacts("host"), Layout(tmp_path).artifacts("host"))
    larger = ("investigator.width=24", "investigator.heads=3", "investigator.row_layers=2", "investigator.epochs=1")
    study = own_study(world, tmp_path, *larger, f"investigator.start={path}")
    assert study.encoder_sha256 != own_study(world, tmp_path, *larger).encoder_sha256
    made, anew = train_encoder(study, silent)
    assert anew and made.facts.loss_before < small.facts.loss < small.facts.loss_before
    assert kept_encoder(study) is not None
    for start, words_of_it in (
        (tmp_path / "none.json", "cannot start from .*no such file; name an encoder.ckpt.json"),
        (study.layout.encoder("host"), "it is the checkpoint that this training replaces"),
        (trained.layout.split("host"), "cannot start from .* is not an encoder's checkpoint"),
    ):
        with pytest.raises(CheckpointError, match=words_of_it):
            train_encoder(own_study(world, tmp_path, f"investigator.start={start}"), silent)
    with pytest.raises(CheckpointError, match=r"does not fit into this preset .*choose sizes"):
        train_encoder(own_study(world, tmp_path, "investigator.width=8", f"investigator.start={path}"), silent)
    with pytest.raises(CheckpointError, match="trained with another tokenizer"):
        load_start(path, study.layout.encoder("host"), "0")


@pytest.mark.slow
def test_processes_that_train_together_write_what_one_writes(world: LogsWorld, tmp_path: Path) -> None:
    found, told = [], list[str]()
    for devices in (1, 2):
        numbers = ("investigator.epochs=2", "investigator.accumulate=2", f"investigator.devices={devices}")
        study = own_study(world, tmp_path / str(devices), *numbers)
        build_tokenizer(study, silent)
        found.append(train_encoder(study, told.append)[0].facts)
    assert found[0].loss == pytest.approx(found[1].loss, abs=1e-5) and found[0].loss < found[0].loss_before
    half = len(told) // 2
    assert told[:half] == told[half:] and any(line.startswith("epoch 1") for line in told)
    lost = own_study(world, tmp_path / "2", *numbers, "investigator.start=nowhere")
    with pytest.raises(TrainingFailed, match="training cannot start from nowhere: there is no such file"):
        train_encoder(lost, silent)


def test_knowledge_stands_in_the_table_and_names_the_techniques_of_imported_logs(tmp_path: Path) -> None:
    """Files of the one author must not teach an encoder what files carry, so public texts and these files name it."""
    world = build_world(tmp_path, imported=(3, 4, 5))
    study = world.study("investigator.epochs=1")
    texts = [
        {"source": "s", "id": f"{t}{k}", "techniques": [t], "kind": "command", "text": f"{said} {k}"}
        for t, said in {**TELLS, "T1105": "curl download tool"}.items()
        for k in range(2)
    ]
    (tmp_path / "k.jsonl").write_text("\n".join(map(json.dumps, texts)))
    import_knowledge([tmp_path / "k.jsonl"], study.layout.knowledge)
    knowledge = fit_knowledge(study.layout)
    assert knowledge is not None
    best = knowledge.scores([f"auth: <person> {said}" for said in TELLS.values()]).argmax(axis=1)
    assert [LABELS[k] for k in best] == list(TELLS)
    import_sigma(sigma_rules(tmp_path), study.layout.sigma)
    found = made(study)
    assert found.knowledge_sha256 == study.knowledge_sha256 != "" and found.files_by == "texts"
    of = {each.name: each for each in found.models}
    if pysigma_version():
        assert not found.lacks and found.sigma is not None and (found.sigma.rules, found.sigma.used) == (3, 3)
        assert of["sigma"].micro_f1.value == 1.0 and "no probabilities" in of["sigma"].calibration.note
    else:
        assert found.lacks == (NO_PYSIGMA,) and found.sigma is None and "sigma" not in of
    assert {"knowledge", "knowledge+logs", "encoder"} <= set(of)
    assert of["knowledge"].hit_at["3"].value == 1.0
    assert all(of[name].tactics is not None for name in ("encoder", "knowledge", "knowledge+logs"))
    assert of["svm"].tactics is None and {each.name for each in found.risks} >= {"encoder", "majority"}
    assert found.prevalence is not None and found.n_test_episodes == 8
    rows = pq.read_table(study.layout.encoder_predictions("host", "techniques")).to_pylist()
    files = {info.episode_id for info in study.test if info.profile == "imported-logs"}
    first = {
        model: {row["episode_id"]: row["technique"] for row in rows if row["model"] == model and row["rank"] == 1}
        for model in ("encoder", "knowledge+logs")
    }
    carried = labels.exact_techniques(study.layout, study.test)
    labelled = [name for name in sorted(files) if carried[name]]
    for name in labelled:  # of recordings it asks the rows alone, and one epoch teaches little of them
        ranked = [row["technique"] for row in rows if (row["model"], row["episode_id"]) == ("encoder", name)]
        assert set(ranked[:3]) & set(carried[name])
    assert (len(files), len(labelled)) == (3, 2) and all(
        first["encoder"][name] == first["knowledge+logs"][name] for name in files
    )
    said = pq.read_table(study.layout.encoder_predictions("host", "row_attacks"))["episode_id"].to_pylist()
    assert not set(said) & files  # nobody says which rows of a file are an attack
    tokenizer, _ = load_tokenizer(study)
    whole, _, _ = lessons(study, tokenizer)
    alone = whole.among([at for at, info in enumerate(study.train) if info.profile == "imported-logs"])
    _, facts = fit(alone, alone, study.numbers, tokenizer.size, torch.device("cpu"), silent)
    assert (facts.epochs, facts.loss, facts.loss_before) == (0, None, None)  # texts name, so nothing is learnt
    checkpoint = msgspec.structs.replace(read_encoder(study.layout, "host"), facts=facts)
    study.layout.encoder("host").write_bytes(msgspec.json.encode(checkpoint))
    assert "nothing was learnt" in render_encoder_card(found, read_encoder(study.layout, "host"))
    study.layout.knowledge.write_bytes(b"half")
    with pytest.raises(UpstreamMissing, match=r"import the texts again with: .*import knowledge"):
        fit_knowledge(study.layout)


@pytest.mark.parametrize(
    ("change", "words_of_it"),
    [
        ({"format": "other"}, "has format"),
        ({"recipe": "time"}, "is of recipe"),
        ({"sidecar": "../x"}, "names other weights"),
        ({"pieces": 0}, "a vocabulary that cannot be"),
        ({"preset": "\u202e"}, "not printable"),
        ({"schema_sha256": "0"}, "other texts or techniques"),
    ],
)
def test_a_checkpoint_that_says_what_cannot_be_is_refused(
    trained: InvestigatorStudy, tmp_path: Path, change: dict[str, object], words_of_it: str
) -> None:
    layout = Layout(tmp_path)
    shutil.copytree(trained.layout.artifacts("host"), layout.artifacts("host"))
    read = msgspec.to_builtins(read_encoder(layout, "host"))
    layout.encoder("host").write_text(json.dumps(read | change))
    with pytest.raises(CheckpointError, match=words_of_it):
        read_encoder(layout, "host")


def test_weights_that_are_not_the_checkpoints_are_refused(trained: InvestigatorStudy, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    shutil.copytree(trained.layout.artifacts("host"), layout.artifacts("host"))
    tokenizer = read_manifest(layout, "host").model_sha256
    with pytest.raises(CheckpointError, match="another tokenizer"):
        load_encoder(layout, "host", "0")
    checkpoint = read_encoder(layout, "host")
    wider = msgspec.structs.replace(checkpoint, numbers=checkpoint.numbers | {"width": 32})
    layout.encoder("host").write_bytes(msgspec.json.encode(wider))
    with pytest.raises(CheckpointError, match="does not hold the weights that its checkpoint describes"):
        load_encoder(layout, "host", tokenizer)
    layout.encoder("host").with_name("encoder.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="not the file its checkpoint was written with"):
        load_encoder(layout, "host", tokenizer)
    layout.encoder("host").write_text("[")
    with pytest.raises(CheckpointError, match="not an encoder's checkpoint"):
        read_encoder(layout, "host")
    layout.encoder("host").unlink()
    with pytest.raises(UpstreamMissing, match=r"encoder.ckpt.json is missing; make it with"):
        read_encoder(layout, "host")
    study = dataclasses.replace(trained, layout=layout)
    assert kept_encoder(study) is None
