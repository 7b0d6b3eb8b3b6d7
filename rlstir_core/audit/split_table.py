"""The split as somebody wrote it: which episodes there are, on which sides they stand, to which groups they belong.

What does not belong here: whether that is in order (`checks/overlap.py`).
"""

# E episodes, L lines of the table
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.audit.columns import SIDES, TEST, ColumnNames
from rlstir_core.audit.encode import AuditNames, is_name, names_of
from rlstir_core.audit.material import EpisodeGroup, SideBits
from rlstir_core.audit.tables import AuditedTable
from rlstir_core.errors import StoreError
from rlstir_core.text import shown

_ROUNDS = ("round", "fold", "rounds", "folds", "repeat")


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitTable:
    names: AuditNames
    side_E: SideBits
    groups: tuple[EpisodeGroup, ...]
    rounds: str
    read_as: dict[str, str]
    not_used: tuple[str, ...]


def read_split(file: AuditedTable, naming: ColumnNames) -> SplitTable:
    """StoreError or ConfigError where no side can be read."""
    own = naming.need("episode", file.names, file.where)
    sides = naming.need("side", file.names, file.where)
    others = [name for name in file.names if name not in (own, sides)]
    table = file.read([own, sides], guessed=others)
    code_L, names = names_of(table.column(own), f"column {shown(own)} of {file.where}")
    side_code_L, side_names = names_of(table.column(sides), f"column {shown(sides)} of {file.where}")
    bits = np.array([*(_side(name, file.where) for name in side_names.all()), 0], np.uint8)
    known_L = code_L >= 0
    code_L, side_L = code_L[known_L], bits[side_code_L[known_L]]
    side_E = np.zeros(len(names), np.uint8)
    np.bitwise_or.at(side_E, code_L, side_L)
    if not (side_E & TEST).any():
        raise StoreError(
            f"{file.where} has no episode on side 'test', so there is nothing to audit; name its test side"
        )
    groups = []
    rounds = next((name for name in others if name.lower() in _ROUNDS), "")
    for name in others:
        column = table.column(name)
        if is_name(column.type) and name != rounds and naming.find("label", [name]) is None:
            value_L, values = names_of(column, f"column {shown(name)} of {file.where}")
            groups.append(_group(name, values, (code_L, value_L[known_L], side_L), len(names)))
    used = {own: "episode", sides: "side", **{group.name: "group" for group in groups}}
    return SplitTable(
        names=names,
        side_E=side_E,
        groups=tuple(groups),
        rounds=rounds,
        read_as=used,
        not_used=tuple(name for name in others if name not in used),
    )


def _group(name: str, values: AuditNames, lines: tuple[Ints, Ints, SideBits], E: int) -> EpisodeGroup:
    episode_L, value_L, side_L = lines
    code_E = np.full(E, -1, np.int64)
    code_E[episode_L[::-1]] = value_L[::-1]  # the first line wins
    return EpisodeGroup(
        name=name, code_E=code_E, names=values, line_episode_L=episode_L, line_code_L=value_L, line_side_L=side_L
    )


def _side(name: str, where: str) -> int:
    side = SIDES.get(name.strip().lower())
    if side is None:
        raise StoreError(f"{where} names a side {shown(name)}; write train, validation, test, or none for neither")
    return side
