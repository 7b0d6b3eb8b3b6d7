"""Where there is no encoder, or nothing to train one on, one sentence says so."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from logs_world import LogsWorld, build_world

from rlstir_core.errors import RlstirError, UpstreamMissing
from rlstir_core.evaluation.investigation.encoder_eval import evaluate_encoder
from rlstir_core.investigator.study import nothing_labelled, why_not
from rlstir_core.results.layout import Layout


def test_an_evaluation_without_its_encoder_names_the_command(world: LogsWorld, tmp_path: Path) -> None:
    shutil.copytree(world.layout.data, tmp_path, dirs_exist_ok=True)
    study = dataclasses.replace(world.study(), layout=Layout(tmp_path))
    with pytest.raises(UpstreamMissing, match=r"make it with: .*--recipe host --select key:encoder"):
        evaluate_encoder(study, lambda _: None)


def test_a_store_whose_rows_carry_no_technique_says_why_there_is_no_encoder(tmp_path: Path) -> None:
    bare = build_world(tmp_path, labelled=False)
    study = bare.study()
    assert nothing_labelled(bare.layout, bare.hosts).startswith("no log row carries a technique (rlstir import logs")
    assert why_not(bare.layout, study.split) == (
        "no log row of the train side carries a technique, so there is nothing for an encoder to learn"
    )
    with pytest.raises(RlstirError, match="no log row of the train side carries a technique"):
        _ = study.sides
