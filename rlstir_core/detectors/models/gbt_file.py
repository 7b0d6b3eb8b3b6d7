"""An XGBoost model in JSON, checked before the library sees it.

libxgboost trusts the numbers of a model: a child, parent or feature out of range is read from memory that is
not its own. So a model is parsed here into exactly what `gbt` saves, and what the library is given is written
anew from that: nothing unchecked, no second reading of the same text. What does not belong here: training and
predicting (`gbt.py`).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
import numpy as np

from rlstir_core.errors import CheckpointError

_MOST = 2**31 - 1
_ROOT = _MOST  # what XGBoost writes as the parent of a root
_FLOAT32 = float(np.finfo(np.float32).max)
_MOST_SCORE = 1e9  # of a leaf: a sum over all trees stays finite
_MAX_FEATURES = 1 << 20
_MAX_PHASES = 1 << 12
_SCORE = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")

Place = Annotated[int, msgspec.Meta(ge=-1, le=_MOST)]
Value = Annotated[float, msgspec.Meta(ge=-_FLOAT32, le=_FLOAT32)]
Digits = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,9}\Z")]


class _TreeParam(msgspec.Struct, frozen=True):
    num_nodes: Digits
    num_feature: Digits
    num_deleted: Literal["0"] = "0"
    size_leaf_vector: Literal["0", "1"] = "1"


class _Tree(msgspec.Struct, frozen=True):
    tree_param: _TreeParam
    left_children: list[Place]
    right_children: list[Place]
    split_indices: list[Place]
    split_conditions: list[Value]
    default_left: list[Place]
    base_weights: list[Value]
    loss_changes: list[Value]
    sum_hessian: list[Value]
    split_type: list[Place]


class _ForestParam(msgspec.Struct, frozen=True):
    num_trees: Digits
    num_parallel_tree: Digits = "1"


class _Forest(msgspec.Struct, frozen=True):
    gbtree_model_param: _ForestParam
    tree_info: list[Place]
    trees: list[_Tree]
    iteration_indptr: list[Place] | None = None


class _Booster(msgspec.Struct, frozen=True):
    name: Literal["gbtree"]
    model: _Forest


class _SoftmaxParam(msgspec.Struct, frozen=True):
    num_class: Digits


class _Objective(msgspec.Struct, frozen=True):
    name: Literal["multi:softprob"]
    softmax_multiclass_param: _SoftmaxParam


class _ModelParam(msgspec.Struct, frozen=True):
    base_score: Annotated[str, msgspec.Meta(max_length=1 << 16)]
    num_class: Digits
    num_feature: Digits
    num_target: Literal["1"] = "1"
    boost_from_average: Literal["0", "1"] = "1"


class _Learner(msgspec.Struct, frozen=True):
    gradient_booster: _Booster
    learner_model_param: _ModelParam
    objective: _Objective


class _Model(msgspec.Struct, frozen=True):
    learner: _Learner
    version: tuple[Place, Place, Place]


def checked_model(raw: bytes, where: str) -> tuple[bytes, int]:
    """The model for XGBoost, and how many phases it tells apart; CheckpointError says what is wrong with it."""
    try:
        model = msgspec.json.decode(raw, type=_Model)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CheckpointError(
            f"{where} is not an XGBoost model in JSON ({error}); train the checkpoint again"
        ) from None
    _check(model.learner, where)
    return _written(model), int(model.learner.learner_model_param.num_class)


def _need(holds: bool, where: str, wrong: str) -> None:
    if not holds:
        raise CheckpointError(f"{where} is an XGBoost model with {wrong}; train the checkpoint again")


def _check(learner: _Learner, where: str) -> None:
    """CheckpointError where the model says what cannot be."""
    param, forest = learner.learner_model_param, learner.gradient_booster.model
    n_features, n_phases = int(param.num_feature), int(param.num_class)
    sizes = f"{n_features} features and {n_phases} phases"
    _need(1 <= n_features <= _MAX_FEATURES and 2 <= n_phases <= _MAX_PHASES, where, sizes)
    told = int(learner.objective.softmax_multiclass_param.num_class)
    _need(told == n_phases, where, "two numbers of phases")
    scores = param.base_score.removeprefix("[").removesuffix("]").split(",")
    sober = all(_SCORE.fullmatch(score) and abs(float(score)) <= _MOST_SCORE for score in scores)
    _need(sober and len(scores) in (1, n_phases), where, "a base score that is no finite number a phase")
    n_trees, ends = len(forest.trees), forest.iteration_indptr
    counts = {n_trees, int(forest.gbtree_model_param.num_trees), len(forest.tree_info)}
    _need(counts == {n_trees} and n_trees > 0, where, "another number of trees than it says")
    known = all(0 <= phase < n_phases for phase in forest.tree_info)
    _need(known, where, "a tree of a phase that it does not tell apart")
    if ends is not None:
        covers = bool(ends) and (ends[0], ends[-1]) == (0, n_trees) and bool((np.diff(ends) >= 0).all())
        _need(covers, where, "rounds that do not cover its trees")
    for place, tree in enumerate(forest.trees):
        _check_tree(tree, n_features, where, f"in tree {place}")


def _check_tree(tree: _Tree, n_features: int, where: str, which: str) -> None:
    n = int(tree.tree_param.num_nodes)
    lengths = {len(getattr(tree, name)) for name in tree.__struct_fields__ if name != "tree_param"}
    fits = n > 0 and lengths == {n} and int(tree.tree_param.num_feature) == n_features
    _need(fits, where, f"another number of nodes or features than it says {which}")
    left, right, node = np.array(tree.left_children), np.array(tree.right_children), np.arange(n)
    inner = left != -1
    children = np.concatenate([left[inner], right[inner]])
    # A child stands behind its parent and has one parent only: so there is no cycle, and each node is reached.
    grows = (
        bool(((right != -1) == inner).all())
        and bool((left[inner] > node[inner]).all() and (right[inner] > node[inner]).all())
        and np.array_equal(np.sort(children), node[1:])
    )
    _need(grows, where, f"children that make no tree {which}")
    known = all(0 <= feature < n_features for feature in tree.split_indices)
    _need(known, where, f"a split on a feature that it does not have {which}")
    sober = bool((np.abs(np.array(tree.split_conditions)[~inner]) <= _MOST_SCORE).all())
    _need(sober, where, f"a leaf that is no score {which}")
    numeric = not any(tree.split_type) and set(tree.default_left) <= {0, 1}
    _need(numeric, where, f"a split that is not numeric {which}")


def _written(model: _Model) -> bytes:
    """What was checked, as JSON that XGBoost reads."""
    built = msgspec.to_builtins(model)
    learner = built["learner"]
    learner |= {"attributes": {}, "feature_names": [], "feature_types": []}
    forest = learner["gradient_booster"]["model"]
    if forest["iteration_indptr"] is None:
        del forest["iteration_indptr"]
    for place, tree in enumerate(forest["trees"]):
        parents = [_ROOT] * len(tree["left_children"])
        for side in ("left_children", "right_children"):
            for node, child in enumerate(tree[side]):
                if child != -1:
                    parents[child] = node
        empty: dict[str, list[int]] = {
            name: [] for name in ("categories", "categories_nodes", "categories_segments", "categories_sizes")
        }
        tree |= {"id": place, "parents": parents, **empty}
    return msgspec.json.encode(built)
