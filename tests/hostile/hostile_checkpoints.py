"""Damaged and hostile checkpoints: what is done to a sound one, and what its refusal must say.

The attacker may rewrite the JSON as well, so every sidecar here carries the hash that its checkpoint asks for.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xgboost as xgb
from safetensors.torch import load_file, save

from rlstir_core.atomic import file_sha256
from rlstir_core.detectors.inputs import Inputs, InputSchema, SequenceInputs, SummaryInputs, Windows
from rlstir_core.detectors.models import MODELS

ATTACKED = ("gbt", "mlp", "gru", "transformer")
MIB = 1 << 20


def inputs_of(kind: str, seed: int, n: int = 60) -> Inputs:
    rng = np.random.default_rng(seed)
    label_N = np.arange(n) % 3
    windows = Windows(
        episodes=("ep-a",),
        episode_N=np.zeros(n, np.int64),
        window_N=np.arange(n),
        label_N=label_N,
        purity_N=np.ones(n, np.float32),
        seconds_seen_N=np.arange(n, dtype=np.float64),
        since_onset_N=np.full(n, np.nan),
    )
    if kind == "summary":
        x_NF = rng.normal(0, 1, (n, 6)).astype(np.float32)
        x_NF[:, 0] += 4 * label_N
        return SummaryInputs(windows=windows, x_NF=x_NF)
    series_TD = rng.normal(0, 1, (n * 20, 4)).astype(np.float32)
    return SequenceInputs(windows=windows, series_TD=series_TD, start_N=np.arange(n) * 20, length=20, n_levels=2)


def schema_of(kind: str) -> InputSchema:
    columns = tuple(f"c{i}" for i in range(6 if kind == "summary" else 4))
    return InputSchema(
        feature_schema_sha256="f" * 64,
        mode="realistic",
        kind=kind,
        channels=columns[:2],
        columns=columns,
        phases=("calm", "armed", "attack"),
    )


@dataclass
class Victim:
    """A checkpoint with one member that a case may damage."""

    folder: Path
    model: str

    @property
    def json(self) -> Path:
        return self.folder / f"{self.model}_realistic.ckpt.json"

    @property
    def sidecar(self) -> Path:
        return self.folder / f"{self.model}_realistic.0{MODELS[self.model].build().suffix}"

    @property
    def mark(self) -> Path:
        """The file that a pickle makes when it is loaded."""
        return self.folder / "code-was-run"

    def lie(self, change: Callable[[dict[str, Any]], object]) -> None:
        tree = json.loads(self.json.read_bytes())
        change(tree)
        self.json.write_text(json.dumps(tree))

    def vouch(self) -> None:
        """Makes the JSON carry the hash of the sidecar that lies there."""
        digest = file_sha256(self.sidecar)
        self.lie(lambda tree: tree["members"][0].update(sidecar_sha256=digest))

    def put(self, raw: bytes) -> None:
        self.sidecar.unlink()
        self.sidecar.write_bytes(raw)
        self.vouch()


class Bait:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


Damage = Callable[[Victim], object]


def cut(share: float) -> Damage:
    return lambda v: v.put(v.sidecar.read_bytes()[: int(share * v.sidecar.stat().st_size)])


def of_json(change: Callable[[dict[str, Any]], object]) -> Damage:
    return lambda v: v.lie(change)


def schema(**fields: Any) -> Damage:
    return of_json(lambda tree: tree["input_schema"].update(fields))


def member(**fields: Any) -> Damage:
    return of_json(lambda tree: tree["members"][0].update(fields))


def settings(**fields: Any) -> Damage:
    return of_json(lambda tree: tree["members"][0]["settings"].update(fields))


def facts(**fields: Any) -> Damage:
    return of_json(lambda tree: tree["members"][0]["facts"].update(fields))


def json_text(old: str, new: str) -> Damage:
    """Swaps text of the JSON, for values that no encoder writes."""

    def damage(v: Victim) -> None:
        text = v.json.read_text()
        assert old in text
        v.json.write_text(text.replace(old, new, 1))

    return damage


def tensors(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(v: Victim) -> None:
        found = load_file(v.sidecar)
        change(found)
        v.put(save({name: tensor.contiguous() for name, tensor in found.items()}))

    return damage


def as_type(kind: torch.dtype, part: str = "network.") -> Damage:
    def change(found: dict[str, Any]) -> None:
        for name in [name for name in found if name.startswith(part)]:
            found[name] = found[name].to(kind)

    return tensors(change)


def one_value(part: str, value: float) -> Damage:
    def change(found: dict[str, Any]) -> None:
        name = next(name for name in sorted(found) if name.startswith(part))
        found[name].view(-1)[0] = value

    return tensors(change)


def header(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Rewrites the header of a safetensors file; the numbers behind it stay."""

    def damage(v: Victim) -> None:
        raw = v.sidecar.read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        tree = json.loads(raw[8 : 8 + length])
        change(tree)
        text = json.dumps(tree).encode()
        v.put(struct.pack("<Q", len(text)) + text + raw[8 + length :])

    return damage


def first_tensor(**fields: Any) -> Damage:
    return header(lambda tree: next(iter(v for k, v in tree.items() if k != "__metadata__")).update(fields))


def overlap(tree: dict[str, Any]) -> None:
    one, two = [v for k, v in sorted(tree.items()) if k != "__metadata__"][:2]
    two["data_offsets"] = one["data_offsets"]


def trees(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Rewrites the model of a gbt checkpoint."""

    def damage(v: Victim) -> None:
        tree = json.loads(v.sidecar.read_bytes())
        change(tree)
        v.put(json.dumps(tree).encode())

    return damage


def model_of(tree: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = tree["learner"]["gradient_booster"]["model"]
    return found


def node(column: str, place: int, value: object) -> Damage:
    return trees(lambda tree: model_of(tree)["trees"][0][column].__setitem__(place, value))


def leaf(value: float) -> Damage:
    def change(tree: dict[str, Any]) -> None:
        one = model_of(tree)["trees"][0]
        one["split_conditions"][one["left_children"].index(-1)] = value

    return trees(change)


def first_tree(**fields: Any) -> Damage:
    return trees(lambda tree: model_of(tree)["trees"][0].update(fields))


def tree_param(**fields: Any) -> Damage:
    return trees(lambda tree: model_of(tree)["trees"][0]["tree_param"].update(fields))


def forest(**fields: Any) -> Damage:
    return trees(lambda tree: model_of(tree).update(fields))


def learner(**fields: Any) -> Damage:
    return trees(lambda tree: tree["learner"].update(fields))


def model_param(**fields: Any) -> Damage:
    return trees(lambda tree: tree["learner"]["learner_model_param"].update(fields))


def categories(tree: dict[str, Any]) -> None:
    one = model_of(tree)["trees"][0]
    one["split_type"][0] = 1
    one.update(categories=[5], categories_nodes=[0], categories_segments=[10**6], categories_sizes=[10**6])


def of_linear(tree: dict[str, Any]) -> None:
    tree["learner"]["gradient_booster"] = {"name": "gblinear", "model": {"weights": [0.1]}}


def as_ubjson(v: Victim) -> None:
    booster = xgb.Booster()
    booster.load_model(bytearray(v.sidecar.read_bytes()))
    v.put(bytes(booster.save_raw("ubj")))


def as_torch_save(v: Victim) -> None:
    made = io.BytesIO()
    torch.save(Bait(v.mark), made)
    assert made.getvalue().startswith(b"PK")
    v.put(made.getvalue())


def as_link(v: Victim) -> None:
    target = v.folder.parent / "elsewhere"
    shutil.move(v.sidecar, target)
    v.sidecar.symlink_to(target)


def as_folder(v: Victim) -> None:
    v.sidecar.unlink()
    v.sidecar.mkdir()


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_sparse(v: Victim) -> None:
    with v.sidecar.open("r+b") as handle:
        handle.truncate(1 << 40)


def as_other(model: str) -> Damage:
    def damage(v: Victim) -> None:
        other = Victim(v.folder, model)
        v.put(other.sidecar.read_bytes())

    return damage


def link_json_to(target: str) -> Damage:
    def damage(v: Victim) -> None:
        v.json.unlink()
        v.json.symlink_to(target)

    return damage


HUGE = [10**9, 10**9]
CASES: dict[str, tuple[str, Damage, str]] = {
    # the JSON
    "json: cut in half": ("mlp", lambda v: v.json.write_bytes(v.json.read_bytes()[:400]), "is not a checkpoint"),
    "json: a pickle": ("mlp", lambda v: v.json.write_bytes(pickle.dumps(Bait(v.mark))), "is not a checkpoint"),
    "json: a zip of torch.save": (
        "mlp",
        lambda v: (as_torch_save(v), v.json.write_bytes(v.sidecar.read_bytes())),
        "is not a checkpoint",
    ),
    "json: a pipe": ("mlp", lambda v: as_pipe(v.json), "is no plain file"),
    "json: a folder": ("mlp", lambda v: (v.json.unlink(), v.json.mkdir()), "is no plain file"),
    "json: a link to a device": ("mlp", link_json_to("/dev/zero"), "is a link"),
    "json: a link to itself": ("mlp", link_json_to("mlp_realistic.ckpt.json"), "is a link"),
    "json: a lone surrogate": ("mlp", json_text('"tiny"', r'"\ud800"'), "is not a checkpoint"),
    "json: NaN in the facts": ("mlp", json_text('"class_weights":', '"class_weights":[NaN],"x":'), "not a checkpoint"),
    "json: infinity in the facts": ("mlp", facts(class_weights=[float("inf")]), "is not a checkpoint"),
    "json: a number out of range": (
        "mlp",
        json_text('"class_weights":', '"class_weights":[1e999],"x":'),
        "is not a checkpoint",
    ),
    "json: a count of 400 digits": ("mlp", facts(n_parameters=10**400), "negative or too large"),
    "json: a negative count": ("mlp", facts(n_train_windows=-7), "negative or too large"),
    "json: a seed of 400 digits": ("mlp", of_json(lambda t: t.update(seed=10**400)), "cannot be"),
    "json: a round of 400 digits": ("mlp", member(round=10**400), "a round or fold of member 0 that cannot be"),
    "json: a negative fold": ("mlp", member(fold=-1), "a round or fold of member 0 that cannot be"),
    "json: 10,000 members": ("mlp", of_json(lambda t: t.update(members=t["members"] * 10_000)), "has 10000 members"),
    "json: one sidecar for two members": ("mlp", of_json(lambda t: t.update(members=t["members"] * 2)), "another's"),
    "json: a sidecar of another model": ("mlp", member(sidecar="gru_realistic.0.safetensors"), "another's"),
    "json: a sidecar's name of 50 MB": ("mlp", member(sidecar="x" * (50 * MIB)), "another's"),
    "json: a sidecar's name that rings": ("mlp", member(sidecar="\x1b[2J\u202e"), r"another's, '\\x1b"),
    "json: a format that rings": ("mlp", of_json(lambda t: t.update(format="\x1b[2J" * 99)), "has format"),
    "json: another model": ("mlp", of_json(lambda t: t.update(model="gru")), "not what its name says"),
    "json: another mode": ("mlp", of_json(lambda t: t.update(mode="oracle")), "not what its name says"),
    "json: another recipe": ("mlp", of_json(lambda t: t.update(recipe="time")), "of recipe 'time'"),
    "json: markup as preset": ("mlp", of_json(lambda t: t.update(preset="a\u202eb")), "not printable"),
    "json: a preset of 1 MB": ("mlp", of_json(lambda t: t.update(preset="x" * MIB)), "too long"),
    "json: control characters in an episode": ("mlp", member(validation_episodes=["\x1b[2J"]), "not printable"),
    "schema: a column twice": ("mlp", schema(columns=["c0"] * 6), "names no column, or one twice"),
    "schema: no channel": ("mlp", schema(channels=[]), "names no channel"),
    "schema: a phase twice": ("mlp", schema(phases=["calm", "calm", "attack"]), "names no phase, or one twice"),
    "schema: a newline in a column": ("mlp", schema(columns=[*"abcde", "f\n# x"]), "not printable"),
    "schema: another mode": ("mlp", schema(mode="oracle"), "input schema of 'summary' inputs in mode 'oracle'"),
    "schema: another kind": ("mlp", schema(kind="sequence"), "input schema of 'sequence' inputs"),
    "schema: one phase more": ("mlp", schema(phases=["calm", "armed", "attack", "more"]), "4 phases"),
    "schema: one column more": ("gbt", schema(columns=[f"c{i}" for i in range(7)]), "7 columns"),
    # the sidecar as a file
    "sidecar: a pickle": ("mlp", lambda v: v.put(pickle.dumps(Bait(v.mark))), "does not fit"),
    "sidecar: a pickle for gbt": ("gbt", lambda v: v.put(pickle.dumps(Bait(v.mark))), "not an XGBoost model"),
    "sidecar: a zip of torch.save": ("gru", as_torch_save, "does not fit"),
    "sidecar: a link": ("mlp", as_link, "is a link"),
    "sidecar: a folder": ("mlp", as_folder, "is no plain file"),
    "sidecar: a pipe": ("gbt", lambda v: as_pipe(v.sidecar), "is no plain file"),
    "sidecar: a sparse file of 1 TB": ("mlp", as_sparse, "larger than a checkpoint can be"),
    "sidecar: another hash": ("mlp", lambda v: v.sidecar.write_bytes(b"x"), "is not the file"),
    "sidecar: of a transformer": ("gru", as_other("transformer"), "does not fit"),
    # safetensors
    "safetensors: half of it": ("transformer", cut(0.5), "does not fit"),
    "safetensors: the header alone": ("gru", cut(0.2), "does not fit"),
    "safetensors: bytes behind the end": ("mlp", lambda v: v.put(v.sidecar.read_bytes() + b"x"), "does not fit"),
    "safetensors: a header of 2^63 bytes": (
        "mlp",
        lambda v: v.put(struct.pack("<Q", 1 << 63) + v.sidecar.read_bytes()[8:]),
        "does not fit",
    ),
    "safetensors: offsets that overlap": ("mlp", header(overlap), "does not fit"),
    "safetensors: offsets behind the end": ("mlp", first_tensor(data_offsets=HUGE), "does not fit"),
    "safetensors: offsets that run backwards": ("mlp", first_tensor(data_offsets=[64, 0]), "does not fit"),
    "safetensors: 1 GB claimed": ("mlp", first_tensor(shape=[1 << 28], data_offsets=[0, 1 << 30]), "does not fit"),
    "safetensors: a shape that overflows": ("mlp", first_tensor(shape=[1 << 40, 1 << 40]), "does not fit"),
    "safetensors: a shape that is not its size": ("mlp", first_tensor(shape=[3, 5]), "does not fit"),
    "safetensors: a type that is not its size": ("mlp", first_tensor(dtype="F64"), "does not fit"),
    "safetensors: a type that does not exist": ("mlp", first_tensor(dtype="F3"), "does not fit"),
    "safetensors: ten tensors deep": ("mlp", lambda v: v.put(b"\xff\xff\0\0\0\0\0\0" + b"[" * 65535), "does not fit"),
    "weights: float16": ("mlp", as_type(torch.float16), "not finite float32"),
    "weights: bfloat16": ("transformer", as_type(torch.bfloat16), "not finite float32"),
    "weights: float64": ("gru", as_type(torch.float64), "not finite float32"),
    "weights: int64": ("mlp", as_type(torch.int64), "not finite float32"),
    "weights: bool": ("mlp", as_type(torch.bool), "not finite float32"),
    "weights: NaN": ("gru", one_value("network.", float("nan")), "not finite"),
    "weights: infinite": ("transformer", one_value("network.", float("-inf")), "not finite"),
    "weights: one missing": ("gru", tensors(lambda t: t.pop("network.stem.conv.bias")), "does not fit"),
    "weights: one more": ("gru", tensors(lambda t: t.update({"network.x": torch.zeros(1)})), "does not fit"),
    "weights: one without its prefix": (
        "mlp",
        tensors(lambda t: t.update({"body.1.weight": t["network.body.1.weight"] * 2})),
        "no weight of the network",
    ),
    "weights: another shape": (
        "transformer",
        tensors(lambda t: t.update({"network.stem.norm.bias": torch.zeros(9)})),
        "does not fit",
    ),
    "standardiser: NaN": ("gru", one_value("standardiser.mean", float("nan")), "not finite"),
    "standardiser: infinite": ("gru", one_value("standardiser.spread", float("inf")), "not finite"),
    "standardiser: a spread of zero": ("gru", one_value("standardiser.spread", 0.0), "standardiser that does not fit"),
    "standardiser: a negative spread": ("mlp", one_value("standardiser.spread", -1.0), "standardiser that does not"),
    "standardiser: float64": ("mlp", as_type(torch.float64, "standardiser."), "not finite float32"),
    "settings: a width of 10^12": ("gru", settings(net={"width": 10**12}), "does not fit"),
    "settings: 64 layers of 4096": ("transformer", settings(net={"width": 4096, "layers": 64}), "does not fit"),
    "settings: text for a number": ("mlp", settings(n_inputs="6"), "does not fit"),
    "settings: a fraction": ("mlp", settings(n_inputs=6.5), "does not fit"),
    "settings: true for a number": ("mlp", settings(n_phases=True), "does not fit"),
    "settings: 400 digits": ("mlp", settings(n_inputs=10**400), "does not fit"),
    "settings: a key more": ("mlp", settings(hook="os.system"), "does not fit"),
    "settings: none": ("mlp", member(settings={}), "does not fit"),
    # XGBoost: most of these end the process where the library reads them unchecked
    "xgboost: half of it": ("gbt", cut(0.5), "not an XGBoost model"),
    "xgboost: no JSON": ("gbt", lambda v: v.put(b"binf" + bytes(400)), "not an XGBoost model"),
    "xgboost: UBJSON": ("gbt", as_ubjson, "not an XGBoost model"),
    "xgboost: nested 10^5 deep": ("gbt", lambda v: v.put(b'{"learner":' + b"[" * 10**5), "not an XGBoost model"),
    "xgboost: no learner": ("gbt", lambda v: v.put(b'{"version":[3,0,0]}'), "missing required field `learner`"),
    "xgboost: a linear model": ("gbt", trees(of_linear), "not an XGBoost model"),
    "xgboost: another objective": ("gbt", learner(objective={"name": "multi:softmax"}), "not an XGBoost model"),
    "xgboost: five phases": ("gbt", model_param(num_class="5"), "two numbers of phases"),
    "xgboost: seven features": ("gbt", model_param(num_feature="7"), "another number of nodes or features"),
    "xgboost: 4 billion features": ("gbt", model_param(num_feature="4000000000"), "not an XGBoost model"),
    "xgboost: 50 targets": ("gbt", model_param(num_target="50"), "not an XGBoost model"),
    "xgboost: a base score of NaN": ("gbt", model_param(base_score="[nan,0,0]"), "base score"),
    "xgboost: a base score of 1e999": ("gbt", model_param(base_score="[1e999,0,0]"), "base score"),
    "xgboost: a leaf of NaN": ("gbt", leaf(float("nan")), "not an XGBoost model"),
    "xgboost: an infinite leaf": ("gbt", leaf(float("inf")), "not an XGBoost model"),
    "xgboost: a leaf of 1e300": ("gbt", leaf(1e300), "not an XGBoost model"),
    "xgboost: a leaf of 3e38": ("gbt", leaf(3e38), "a leaf that is no score"),
    "xgboost: a condition of NaN": ("gbt", node("split_conditions", 0, float("nan")), "not an XGBoost model"),
    "xgboost: a node that is its own child": ("gbt", node("left_children", 0, 0), "children that make no tree"),
    "xgboost: a cycle": ("gbt", node("left_children", 1, 0), "children that make no tree"),
    "xgboost: one child of two parents": ("gbt", node("left_children", 0, 2), "children that make no tree"),
    "xgboost: a child out of range": ("gbt", node("left_children", 0, 10**6), "children that make no tree"),
    "xgboost: a child beyond 32 bits": ("gbt", node("left_children", 0, 2**40), "not an XGBoost model"),
    "xgboost: a negative child": ("gbt", node("left_children", 0, -5), "not an XGBoost model"),
    "xgboost: one child only": ("gbt", node("right_children", 0, -1), "children that make no tree"),
    "xgboost: a feature out of range": ("gbt", node("split_indices", 0, 10**6), "a feature that it does not have"),
    "xgboost: a negative feature": ("gbt", node("split_indices", 0, -1), "a feature that it does not have"),
    "xgboost: columns of unequal length": ("gbt", first_tree(split_conditions=[1.0]), "another number of nodes"),
    "xgboost: 2 billion nodes": ("gbt", tree_param(num_nodes="2000000000"), "not an XGBoost model"),
    "xgboost: no nodes": ("gbt", tree_param(num_nodes="0"), "another number of nodes"),
    "xgboost: leaves of eight values": ("gbt", tree_param(size_leaf_vector="8"), "not an XGBoost model"),
    "xgboost: deleted nodes": ("gbt", tree_param(num_deleted="9"), "not an XGBoost model"),
    "xgboost: categories out of range": ("gbt", trees(categories), "a split that is not numeric"),
    "xgboost: no trees": ("gbt", forest(trees=[]), "another number of trees"),
    "xgboost: a tree of phase 99": (
        "gbt",
        trees(lambda t: model_of(t)["tree_info"].__setitem__(0, 99)),
        "of a phase that it does not tell apart",
    ),
    "xgboost: rounds out of range": ("gbt", forest(iteration_indptr=[0, 1000]), "rounds that do not cover"),
    "xgboost: no rounds": ("gbt", forest(iteration_indptr=[]), "rounds that do not cover"),
}


def chain(n: int, side: int) -> list[int]:
    """Children of a tree of n inner nodes, each the right child of the one before: 0, 2, 4, …"""
    found = [-1] * (2 * n + 1)
    for i in range(n):
        found[2 * i] = 2 * i + side
    return found
