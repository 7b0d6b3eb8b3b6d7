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
from logs_world import TELLS, LogsWorld, build_world

from rlstir_core.errors import CheckpointError, RlstirError, UpstreamMissing
from rlstir_core.evaluation.investigation import encoder_eval
from rlstir_core.evaluation.investigation.encoder_eval import (
    encoder_evaluation_is_current,
    evaluate_encoder,
    forget_evaluation,
    read_encoder_evaluation,
)
from rlstir_core.evaluation.investigation.records import EncoderEvaluation
from rlstir_core.importers.knowledge import import_knowledge
from rlstir_core.investigator import training
from rlstir_core.investigator.checkpoint import load_encoder, load_start, read_encoder
from rlstir_core.investigator.loop import Loop
from rlstir_core.investigator.reading.tokenizer import build_tokenizer, read_manifest
from rlstir_core.investigator.state import States
from rlstir_core.investigator.study import InvestigatorStudy, nothing_labelled, why_not
from rlstir_core.investigator.techniques.knowledge import fit_knowledge
from rlstir_core.investigator.techniques.labels import LABELS, episode_techniques
from rlstir_core.investigator.together import TrainingFailed
from rlstir_core.investigator.training import kept_encoder, train_encoder
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
    assert set(f1) == {"encoder", "majority", "bag-of-words"}
    assert f1["encoder"] > 0.7 > 0.5 > f1["majority"]  # type: ignore[operator]
    assert set(found.paired) == {"majority", "bag-of-words"}
    assert found.lacks and "rlstir import knowledge" in found.lacks[0]
    assert (found.n_test_episodes, found.n_with_technique, found.prevalence) == (8, 4, 0.5)
    assert all("no interval below 20" in each.micro_f1.note for each in found.models)
    assert evaluate_encoder(trained, silent)[1] is False and train_encoder(trained, silent)[1] is False


def test_predictions_are_ranked_and_tell_which_are_named(trained: InvestigatorStudy) -> None:
    found = read_encoder_evaluation(trained.layout, "host")
    assert found is not None
    rows = pq.read_table(trained.layout.encoder_predictions("host", "techniques")).to_pylist()
    assert {row["episode_id"] for row in rows} == {info.episode_id for info in trained.test}
    of_one = [row for row in rows if row["model"] == "encoder" and row["episode_id"] == rows[0]["episode_id"]]
    assert [row["rank"] for row in of_one] == list(range(1, 11))
    assert [row["score"] for row in of_one] == sorted((row["score"] for row in of_one), reverse=True)
    threshold = next(each.threshold for each in found.models if each.name == "encoder")
    assert all(row["named"] == (row["score"] >= threshold) for row in rows if row["model"] == "encoder")
    risks = pq.read_table(trained.layout.encoder_predictions("host", "risk")).to_pylist()
    assert {row["model"] for row in risks} == {"encoder", "majority", "bag-of-words"}


def test_predictions_are_written_before_a_label_of_the_test_side_is_read(
    trained: InvestigatorStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained.layout.data, tmp_path, dirs_exist_ok=True)
    study = dataclasses.replace(trained, layout=Layout(tmp_path))
    tested = {info.episode_id for info in study.test}
    paths = [study.layout.encoder_predictions("host", what) for what in ("techniques", "risk")]
    forget_evaluation(study.layout, "host")
    seen = []

    def watched(layout: Layout, episodes: list[object]) -> object:
        if tested & {info.episode_id for info in episodes}:  # type: ignore[attr-defined]
            seen.append([path.exists() for path in paths])
        return episode_techniques(layout, episodes)  # type: ignore[arg-type]

    for module in (encoder_eval, training):
        monkeypatch.setattr(module, "episode_techniques", watched)
    assert evaluate_encoder(study, silent)[1] is True
    assert seen == [[True, True]]


def test_permuted_labels_teach_nothing(world: LogsWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = own_study(world, tmp_path, "investigator.epochs=8")
    rng = np.random.default_rng(0)

    def shuffled(layout: Layout, episodes: list[object]) -> dict[str, tuple[str, ...]]:
        found = episode_techniques(layout, episodes)  # type: ignore[arg-type]
        values = list(found.values())
        return {name: values[k] for name, k in zip(found, rng.permutation(len(values)), strict=True)}

    monkeypatch.setattr(training, "episode_techniques", shuffled)
    f1 = scores(made(study))
    assert f1["encoder"] < 0.5 and f1["bag-of-words"] < 0.5  # type: ignore[operator]


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
        assert told[0].startswith("epoch 1" if run == "whole" else "training goes on from epoch 1, step")
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
    assert anew and made.facts.loss_before == pytest.approx(small.facts.loss, abs=1e-5)
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
    assert told[:2] == told[2:] and told[0].startswith("epoch 1")
    lost = own_study(world, tmp_path / "2", *numbers, "investigator.start=nowhere")
    with pytest.raises(TrainingFailed, match="training cannot start from nowhere: there is no such file"):
        train_encoder(lost, silent)


def test_knowledge_stands_in_the_table_and_names_techniques_without_a_labelled_row(
    world: LogsWorld, tmp_path: Path
) -> None:
    study = own_study(world, tmp_path / "data", "investigator.epochs=1")
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
    found = made(study)
    assert not found.lacks and found.knowledge_sha256 == study.knowledge_sha256 != ""
    of = {each.name: each for each in found.models}
    assert of["knowledge"].hit_at["3"].value == 1.0 and of["knowledge"].risk_aupr.value is None
    assert of["encoder"].hit_at["3"].value == 1.0
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


def test_an_evaluation_without_its_encoder_names_the_command(world: LogsWorld, tmp_path: Path) -> None:
    study = own_study(world, tmp_path)
    with pytest.raises(UpstreamMissing, match=r"make it with: .*--recipe host --select key:encoder"):
        evaluate_encoder(study, silent)


def test_a_store_whose_rows_carry_no_technique_says_why_there_is_no_encoder(tmp_path: Path) -> None:
    bare = build_world(tmp_path, labelled=False)
    study = bare.study()
    assert nothing_labelled(bare.layout, bare.hosts).startswith("no log row carries a technique (rlstir import logs")
    assert why_not(bare.layout, study.split) == (
        "no log row of the train side carries a technique, so there is nothing for an encoder to learn"
    )
    with pytest.raises(RlstirError, match="no log row of the train side carries a technique"):
        _ = study.sides
