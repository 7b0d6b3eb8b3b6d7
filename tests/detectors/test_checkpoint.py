"""Checkpoints come back whole or are refused with a sentence; nothing that is loaded can run code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rlstir_core.atomic import file_sha256
from rlstir_core.detectors.blocks import one_block
from rlstir_core.detectors.checkpoint import (
    Checkpoint,
    Fitted,
    is_whole,
    load_detector,
    read_checkpoint,
    write_checkpoint,
)
from rlstir_core.detectors.inputs import Inputs, InputSchema
from rlstir_core.detectors.models import MODELS
from rlstir_core.errors import CheckpointError, RlstirError, SchemaMismatch, UpstreamMissing
from rlstir_core.learning.presets import Preset

PHASES = ("calm", "armed", "attack")
Easy = Callable[..., Inputs]


def schema_of(kind: str) -> InputSchema:
    names = tuple(f"c{i}" for i in range(6 if kind == "summary" else 4))
    return InputSchema(
        feature_schema_sha256="f" * 64, mode="realistic", kind=kind, channels=names, columns=names, phases=PHASES
    )


@pytest.fixture(scope="module")
def written(easy: Easy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint of three kinds of model, two members each."""
    from dataclasses import replace

    from rlstir_core.learning.presets import Net, Training, Trees

    preset = Preset(
        name="tiny",
        trees=Trees(rounds=5),
        net=Net(width=8, layers=1, heads=2, stem_stride=2),
        train=Training(epochs=1, min_epoch_steps=1, device="cpu"),
    )
    folder = tmp_path_factory.mktemp("artifacts") / "host"
    for name in ("gbt", "mlp", "gru"):
        members = []
        for seed in (0, 1):
            kind, detector = MODELS[name].kind, MODELS[name].build()
            views, held = ([one_block(easy(kind, seed=s), 3)] for s in (seed, 9))
            facts = detector.fit(views, held, 3, replace(preset, seed=seed), lambda _: None)
            members.append(Fitted(detector=detector, facts=facts, validation_episodes=(f"ep-{seed}",), fold=seed))
        write_checkpoint(
            folder / f"{name}_realistic.ckpt.json",
            name,
            members,
            mode="realistic",
            recipe="host",
            preset="tiny",
            seed=0,
            input_schema=schema_of(kind),
            input_sha256="a",
            train_sha256="b",
            n_train_episodes=2,
        )
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    target = tmp_path / "artifacts" / "host"
    target.mkdir(parents=True)
    for path in written.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def ckpt(folder: Path, name: str) -> Path:
    return folder / f"{name}_realistic.ckpt.json"


def lie(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the JSON of a checkpoint."""
    tree = json.loads(path.read_bytes())
    change(tree)
    path.write_text(json.dumps(tree))


def swap_sidecar(path: Path, raw: bytes) -> None:
    """Replaces the first sidecar by other bytes, and makes the JSON vouch for them."""
    sidecar = path.parent / read_checkpoint(path).members[0].sidecar
    sidecar.write_bytes(raw)
    lie(path, lambda tree: tree["members"][0].update(sidecar_sha256=file_sha256(sidecar)))


def assert_refused(path: Path, says: str = "again") -> None:
    with pytest.raises(CheckpointError, match=says) as caught:
        load_detector(path)
    text = str(caught.value)
    assert isinstance(caught.value, RlstirError) and "\n" not in text and len(text) < 600
    assert path.parent.name in text and "again" in text


@pytest.mark.parametrize("name", ["gbt", "mlp", "gru"])
def test_a_checkpoint_comes_back_with_the_mean_of_its_members(written: Path, easy: Easy, name: str) -> None:
    checkpoint, detector = load_detector(ckpt(written, name), schema_of(MODELS[name].kind))
    inputs = easy(MODELS[name].kind, seed=4)
    members = [member.predict_proba(inputs) for *_, member in detector.members]
    np.testing.assert_allclose(detector.predict_proba(inputs), np.mean(members, axis=0))
    assert len(members) == 2 and not np.array_equal(*members)
    assert [(place, fold) for place, fold, _ in detector.members] == [(0, 0), (0, 1)]
    np.testing.assert_array_equal(detector.predict_fold(0, 1, inputs), members[1])
    assert checkpoint == read_checkpoint(ckpt(written, name)) and is_whole(ckpt(written, name), checkpoint)


def test_no_file_of_a_checkpoint_is_a_pickle(written: Path) -> None:
    for path in written.iterdir():
        raw = path.read_bytes()
        assert path.suffix in (".json", ".safetensors") and not raw.startswith((b"\x80", b"PK"))


def test_a_checkpoint_of_another_schema_is_refused_with_both_hashes_and_the_columns(written: Path) -> None:
    trained = schema_of("summary")
    given = msgspec.structs.replace(trained, columns=(*trained.columns[:-1], "other"))
    with pytest.raises(
        ValueError, match=f"{trained.sha256}.*{given.sha256}.*missing c5; not known to it other"
    ) as caught:
        load_detector(ckpt(written, "mlp"), given)
    assert isinstance(caught.value, SchemaMismatch)


def test_a_missing_checkpoint_names_the_command_that_makes_it(tmp_path: Path) -> None:
    says = "rlstir materialize --recipe time --select key:checkpoint/gru_oracle$"
    with pytest.raises(UpstreamMissing, match=says):
        read_checkpoint(tmp_path / "time" / "gru_oracle.ckpt.json")


@pytest.mark.parametrize("name", ["gbt", "mlp", "gru"])
@pytest.mark.parametrize("cut", [0, 1, 7, 200, -1])
def test_a_truncated_sidecar_is_refused_with_and_without_its_hash(folder: Path, name: str, cut: int) -> None:
    path = ckpt(folder, name)
    sidecar = path.parent / read_checkpoint(path).members[0].sidecar
    raw = sidecar.read_bytes()[:cut]
    sidecar.write_bytes(raw)
    assert_refused(path, "is not the file its checkpoint was written with")
    assert not is_whole(path, read_checkpoint(path))
    swap_sidecar(path, raw)
    assert_refused(path)


@pytest.mark.parametrize("name", ["gbt", "mlp", "gru"])
@pytest.mark.parametrize(
    "raw", [b"{}", b"[]", b"null", b"\x80\x04K\x01.", b"\x02\0\0\0\0\0\0\0{}", b'{"learner": {}}', b"[" * 100_000]
)
def test_a_file_that_is_no_model_is_refused(folder: Path, name: str, raw: bytes) -> None:
    swap_sidecar(ckpt(folder, name), raw)
    assert_refused(ckpt(folder, name))


@pytest.mark.parametrize(("name", "other"), [("gbt", "mlp"), ("mlp", "gbt"), ("mlp", "gru"), ("gru", "mlp")])
def test_the_weights_of_another_model_are_refused(folder: Path, name: str, other: str) -> None:
    sidecar = folder / read_checkpoint(ckpt(folder, other)).members[0].sidecar
    swap_sidecar(ckpt(folder, name), sidecar.read_bytes())
    assert_refused(ckpt(folder, name))


def test_a_sidecar_that_is_gone_is_refused(folder: Path) -> None:
    (folder / read_checkpoint(ckpt(folder, "gbt")).members[1].sidecar).unlink()
    assert_refused(ckpt(folder, "gbt"), "is missing or is not the file")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("tensor", ["network", "standardiser.mean", "standardiser.spread"])
def test_weights_that_are_not_finite_are_refused(folder: Path, value: float, tensor: str) -> None:
    path = ckpt(folder, "mlp")
    sidecar = path.parent / read_checkpoint(path).members[0].sidecar
    tensors = load_file(sidecar)
    name = next(name for name in tensors if name.startswith(tensor))
    tensors[name].view(-1)[0] = value
    save_file(tensors, folder / "bad")
    swap_sidecar(path, (folder / "bad").read_bytes())
    assert_refused(path, "not finite")


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update({"standardiser.spread": torch.zeros(6)}),
        lambda t: t.update({"standardiser.spread": torch.ones(5)}),
        lambda t: t.update({"standardiser.mean": torch.zeros(5), "standardiser.spread": torch.ones(5)}),
        lambda t: t.update({"standardiser.mean": torch.zeros(2, 3)}),
        lambda t: t.pop("standardiser.mean"),
        lambda t: t.pop("network.body.1.weight"),
        lambda t: t.update({"network.more": torch.zeros(1)}),
    ],
)
def test_tensors_that_do_not_fit_are_refused(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = ckpt(folder, "mlp")
    tensors = load_file(path.parent / read_checkpoint(path).members[0].sidecar)
    change(tensors)
    save_file(tensors, folder / "bad")
    swap_sidecar(path, (folder / "bad").read_bytes())
    assert_refused(path)


@pytest.mark.parametrize("name", ["gbt", "mlp", "gru"])
@pytest.mark.parametrize(
    "settings",
    [
        {"n_phases": 5},
        {"n_phases": "three"},
        {"n_phases": -1},
        {"n_phases": None},
        {"net": {"width": 16}, "n_phases": 7},
        {"net": {"width": 1_000_000}},
        {"net": {"width": 4096, "layers": 64}},
        {"net": {"colour": "red"}},
        {"net": [1]},
        {"n_inputs": 10**15, "n_phases": 10**6},
        {"n_inputs": 5, "n_phases": 4},
    ],
)
def test_settings_that_lie_about_the_weights_are_refused(folder: Path, name: str, settings: dict[str, Any]) -> None:
    path = ckpt(folder, name)
    if name == "gbt" and "n_phases" not in settings:
        settings = {"n_phases": 8}
    lie(path, lambda tree: tree["members"][0]["settings"].update(settings))
    assert_refused(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.update(format="rlstir-checkpoint-0"), "has format 'rlstir-checkpoint-0'"),
        (lambda t: t.update(model="oracle"), "model 'oracle', which is unknown"),
        (lambda t: t.update(model="gru"), "not what its name says"),
        (lambda t: t.update(mode="oracle"), "not what its name says"),
        (lambda t: t.update(members=[]), "has no members"),
        (lambda t: t.update(seed="zero"), "is not a checkpoint"),
        (lambda t: t.pop("input_schema"), "is not a checkpoint"),
        (lambda t: t["members"][0].pop("facts"), "is not a checkpoint"),
        (lambda t: t["members"][0].update(round=-1), "a round or fold of member 0 that cannot be"),
        (lambda t: t["members"][1].update(fold=10**9), "a round or fold of member 1 that cannot be"),
        (lambda t: t["members"][0].update(sidecar="../x.safetensors"), "outside its folder"),
        (lambda t: t["members"][0].update(sidecar="/etc/passwd"), "outside its folder"),
        (lambda t: t["members"][0].update(sidecar=".."), "outside its folder|is missing"),
        (lambda t: t["members"][0].update(sidecar=""), "outside its folder|is missing"),
        (lambda t: t["members"][0].update(sidecar="a\u0000b"), "outside its folder|is missing"),
        (lambda t: t["input_schema"].update(phases=["calm", "attack"]), "phases"),
        (lambda t: t["input_schema"].update(columns=["c0"]), "columns"),
    ],
)
def test_a_checkpoint_whose_json_lies_is_refused(folder: Path, change: Callable[..., object], says: str) -> None:
    for name in ("gbt", "mlp"):
        lie(ckpt(folder, name), change)
        assert_refused(ckpt(folder, name), says)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"[" * 200_000, b'{"format": "rlstir-checkpoint-1"}'])
def test_bytes_that_are_no_checkpoint_are_refused(folder: Path, raw: bytes) -> None:
    ckpt(folder, "gbt").write_bytes(raw)
    assert_refused(ckpt(folder, "gbt"), "is not a checkpoint")


def test_a_checkpoint_larger_than_any_is_refused_without_being_read(folder: Path) -> None:
    with ckpt(folder, "gbt").open("r+b") as handle:
        handle.truncate(65 << 20)
    assert_refused(ckpt(folder, "gbt"), "larger than a checkpoint can be")


def test_the_hash_of_the_weights_changes_with_any_member(written: Path) -> None:
    checkpoint = read_checkpoint(ckpt(written, "gbt"))
    other = msgspec.structs.replace(checkpoint.members[1], sidecar_sha256="0" * 64)
    changed: Checkpoint = msgspec.structs.replace(checkpoint, members=(checkpoint.members[0], other))
    assert changed.weights_sha256 != checkpoint.weights_sha256
