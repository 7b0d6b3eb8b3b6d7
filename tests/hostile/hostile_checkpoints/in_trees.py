"""Cases about a model of XGBoost: most of these end the process where the library reads them unchecked.

What does not belong here: tensors (`in_tensors.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import xgboost as xgb

from hostile_checkpoints.victim import Cases, Damage, Victim, cut


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


def chain(n: int, side: int) -> list[int]:
    """Children of a tree of n inner nodes, each the right child of the one before: 0, 2, 4, …"""
    found = [-1] * (2 * n + 1)
    for i in range(n):
        found[2 * i] = 2 * i + side
    return found


CASES: Cases = {
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
