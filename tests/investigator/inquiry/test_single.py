"""One file of rows is read as a study reads the same episode: an encoder without training, since nothing is judged."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from logs_world import LogsWorld

from rlstir_core.contract.registry import load_registry
from rlstir_core.errors import CheckpointError
from rlstir_core.investigator.answers import answers_of
from rlstir_core.investigator.checkpoint import EncoderFacts, write_encoder
from rlstir_core.investigator.first_look import FirstLook
from rlstir_core.investigator.inputs import WIDTHS, LogInputs
from rlstir_core.investigator.inquiry.inquire import investigate
from rlstir_core.investigator.inquiry.records import Inquiry
from rlstir_core.investigator.network.heads import Investigating
from rlstir_core.investigator.network.sizes import memory
from rlstir_core.investigator.pretraining.calibrated import AnswerCalibration
from rlstir_core.investigator.reading.hashing import WORDS
from rlstir_core.investigator.reading.slots import SLOTS
from rlstir_core.investigator.reading.tokenizer import build_tokenizer, load_tokenizer
from rlstir_core.investigator.single import open_encoder
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.provenance.store import build_graphs
from rlstir_core.results.layout import Layout

RISK = (1.0, 0.5)


@pytest.fixture(scope="module")
def study(world: LogsWorld, tmp_path_factory: pytest.TempPathFactory) -> InvestigatorStudy:
    root = tmp_path_factory.mktemp("untrained")
    shutil.copytree(world.layout.data, root, dirs_exist_ok=True)
    # parts of few rows, so that an episode has several
    found = dataclasses.replace(world.study("investigator.part_rows=8"), layout=Layout(root))
    build_tokenizer(found, lambda _: None)
    tokenizer, manifest = load_tokenizer(found)
    torch.manual_seed(0)
    network = Investigating(found.numbers.investigator, tokenizer.size, torch.zeros(len(LABELS)), WIDTHS)
    for weight in (each for its in network.members for each in (its.heads.attack.weight, its.heads.technique.weight)):
        torch.nn.init.normal_(weight, std=0.3)
    weight_SW = np.random.default_rng(0).normal(0, 0.2, (len(SLOTS), WORDS)).astype(np.float32)
    network.start_from(FirstLook(weight_SW=weight_SW, bias=-1.0))
    write_encoder(
        found.layout,
        "host",
        network,
        preset="smoke",
        seed=0,
        numbers=msgspec.to_builtins(found.numbers.investigator),
        pieces=tokenizer.size,
        tokenizer_sha256=manifest.model_sha256,
        knowledge_sha256="",
        input_sha256="",
        memory=memory(network, found.numbers.investigator, half=False, nodes=10, outputs=len(LABELS)),
        calibration=AnswerCalibration(risk=RISK, name_rows=(1e-3, None)),
        facts=EncoderFacts(
            epochs=1, best_epoch=1, loss=1.0, loss_before=1.0, n_train_episodes=24, n_validation_episodes=8,
            n_techniques=3, n_parameters=1,
        ),
    )  # fmt: skip
    return found


def asked(study: InvestigatorStudy, *paths: Path) -> Inquiry:
    return investigate(paths, study.layout, registry=load_registry())


def test_a_tarball_is_read_as_the_study_reads_its_episode(study: InvestigatorStudy, world: LogsWorld) -> None:
    info = study.test[-1]
    build_graphs(study.layout, info.host)
    encoder = open_encoder(study.layout, "host")
    inputs = LogInputs(study, [info], encoder.tokenizer, None, hosts=(), budget=CacheBudget(0))
    (known,) = answers_of(encoder.network, inputs, encoder.on)
    path = world.store / "episodes" / info.host / f"{info.own_id}.tar.zst"
    found = asked(study, path)
    calibration = encoder.checkpoint.calibration
    told = [row.p_attack for row in found.attack_rows]
    np.testing.assert_allclose(told[:10], np.sort(calibration.p_attack_N(known))[::-1][:10], rtol=1e-4)
    by_encoder = {each.technique: each.score for each in found.logs[0].techniques if each.by == "encoder"}
    score_K = calibration.score_K(known, rows=True)
    assert len(by_encoder) >= 10
    assert by_encoder == pytest.approx({own: score_K[LABELS.index(own)] for own in by_encoder}, rel=1e-3)
    assert found.risk.p == pytest.approx(calibration.p_risk(known), rel=1e-4) and found.recipe == "host"
    first = next(each for each in found.logs[0].techniques if each.by == "encoder")
    assert first.rows and first.rows[0].log.startswith(f"{info.own_id}: logs/")


def test_files_of_one_host_are_one_story_whatever_their_order(study: InvestigatorStudy, tmp_path: Path) -> None:
    line = "May  1 01:{:02}:07 north sudo[{}]: maria : TTY=pts/0 ; USER=root ; COMMAND=/usr/bin/tool{}\n"
    lines = [line.format(k, 900 + k, k) for k in range(30)]
    for name, own in (("whole", [lines]), ("parts", [lines[::2], lines[1::2]])):
        (tmp_path / name).mkdir()
        for k, part in enumerate(own):
            (tmp_path / name / f"{k}.log").write_text("".join(part))
    whole, parts = asked(study, tmp_path / "whole"), asked(study, tmp_path / "parts" / "1.log", tmp_path / "parts")
    assert (whole.n_logs, parts.n_logs) == (1, 2)
    assert {row.log for row in parts.attack_rows} == {"0.log", "1.log"}
    assert [row.text for row in parts.attack_rows[:3]] == [row.text for row in whole.attack_rows[:3]]
    assert whole.risk.p is not None and any("a rank, no probability" in each for each in whole.lacks)


def test_an_encoder_that_is_damaged_is_named_and_the_rest_is_told(study: InvestigatorStudy, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    shutil.copytree(study.layout.artifacts("host"), layout.artifacts("host"))
    (layout.artifacts("host") / "encoder.safetensors").write_bytes(b"half")
    (tmp_path / "auth.log").write_text("May  1 01:02:07 north sudo[7]: maria : USER=root ; COMMAND=/usr/bin/id\n")
    found = investigate([tmp_path / "auth.log"], layout, registry=load_registry())
    assert found.risk.p is None and "encoder.safetensors" in found.risk.why and found.n_rows == 1
    with pytest.raises(CheckpointError, match=r"encoder.safetensors"):
        investigate([tmp_path / "auth.log"], layout, registry=load_registry(), recipe="host")
