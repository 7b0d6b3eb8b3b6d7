"""Training and evaluation on a small store of logs alone in which commands tell the techniques."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

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
from rlstir_core.investigator.checkpoint import load_encoder, read_encoder
from rlstir_core.investigator.reading.tokenizer import build_tokenizer, read_manifest
from rlstir_core.investigator.study import InvestigatorStudy, nothing_labelled, why_not
from rlstir_core.investigator.techniques.knowledge import fit_knowledge
from rlstir_core.investigator.techniques.labels import LABELS, episode_techniques
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


def test_equal_inputs_give_equal_weights(world: LogsWorld, tmp_path: Path) -> None:
    hashes = set()
    for run in ("a", "b"):
        study = own_study(world, tmp_path / run, "investigator.epochs=1")
        build_tokenizer(study, silent)
        hashes.add(train_encoder(study, silent)[0].sidecar_sha256)
    assert len(hashes) == 1


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
