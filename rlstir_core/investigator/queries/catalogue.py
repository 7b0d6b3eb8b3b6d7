"""The actions: 23 queries and STOP, read from `actions.json`, each with its cost and a sentence for people.

What does not belong here: which rows answer a query (`answers.py`).
"""

# A actions, the last one is STOP; Q queries
from __future__ import annotations

from importlib.resources import files
from typing import Final, Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

EntityKind = Literal["host", "tree", "process", "program", "file", "account", "destination"]
KINDS: Final[tuple[EntityKind, ...]] = get_args(EntityKind)  # of entities, in the order of their numbers in a case


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do.

    `rows` is how many rows a log store would read for it in 1,000 rows of a host's log; `scans` says which ones. A
    look-up in an index by entity and time reads one page; what no index holds apart is read whole: means over 36
    generated episodes, two in three of them Windows. Stores read in sequence and side by side, so that twice the rows
    cost one more: the cost is 1 + log2(rows / page), rounded.
    """

    name: str
    about: EntityKind | Literal[""]  # what it is asked about; empty for STOP
    cost: float
    rows: int
    scans: str
    sentence: str


class _Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    page: int
    actions: tuple[Action, ...]


_FILE = msgspec.json.decode(files(__package__).joinpath("actions.json").read_bytes(), type=_Catalogue)
ACTIONS: Final = _FILE.actions
QUERIES: Final = ACTIONS[:-1]
STOP: Final = len(QUERIES)  # its number
PAGE: Final = _FILE.page  # rows that a query shows at a time
PLACE: Final = {action.name: at for at, action in enumerate(ACTIONS)}
KIND_Q: Final[NDArray[np.int64]] = np.array([KINDS.index(each.about) for each in QUERIES if each.about])
TREE_QUERIES: Final = (PLACE["proc_tree_near"], PLACE["proc_tree_far"])
# these read the alert's own process until a tree was asked for
LOCKED_Q: Final[NDArray[np.bool_]] = np.array([each.about == "process" for each in QUERIES])
LOCKED_Q[list(TREE_QUERIES)] = False


def costs() -> NDArray[np.float32]:
    """What each action costs. (A,)"""
    return np.array([action.cost for action in ACTIONS], np.float32)
