"""The contract of columns: what they mean, by which names they go, and which of a table's columns are which.

What does not belong here: reading them (`tables.py`), and what is made of them (`material.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rlstir_core.errors import ConfigError
from rlstir_core.text import shown

# the first name that a table has is the one that is read
NAMES: dict[str, tuple[str, ...]] = {
    "episode": ("episode", "episode_id", "run_id", "recording", "unit"),
    "label": ("label", "y_true", "truth", "true_label", "target"),
    "predicted": ("predicted", "prediction", "y_pred", "pred", "predicted_label"),
    "score": ("score", "y_score", "probability"),
    "threshold": ("threshold",),
    "time_s": ("time_s", "t_s"),
    "side": ("side", "split", "subset", "set"),
}
PREFIX = "p_"  # of the columns that hold the score of a class, which may have another name too
MEANINGS = (*NAMES, PREFIX)
TRAIN, VALIDATION, TEST = 1, 2, 4  # bits, since an episode may stand on several sides
SIDES = {
    **dict.fromkeys(("train", "training", "learn", "fit"), TRAIN),
    **dict.fromkeys(("validation", "val", "valid", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing", "held_out", "heldout", "holdout"), TEST),
    **dict.fromkeys(("none", "excluded", "unused", "left_out"), 0),
}
# numbers of an episodes table that say how it was recorded, not what was measured; a unit may follow
_METADATA = frozenset(
    (
        *("start", "begin", "end", "stop", "start_time", "end_time", "t_start", "t_end", "t_start_wall", "t_end_wall"),
        *("received", "received_wall", "recorded", "date", "time", "day", "hour", "duration", "length", "n_rows"),
        *("rows", "size", "seed", "index", "order", "version", "host", "sample", "corpus", "user", "machine"),
    )
)
_UNITS = ("_ns", "_us", "_ms", "_s", "_min", "_h", "_bytes", "_utc")


class ColumnNames:
    """What the columns of somebody's tables are called."""

    def __init__(self, renamed: Iterable[str] = (), metadata: Iterable[str] = ()) -> None:
        """`renamed` holds MEANING=NAME; `metadata` names numeric columns that are no features."""
        self.own: dict[str, str] = {}
        self.metadata = frozenset(metadata)
        for text in renamed:
            meaning, found, name = text.partition("=")
            if not found or not name or meaning not in MEANINGS:
                raise ConfigError(
                    f"column {shown(text)} says nothing; write MEANING=NAME, where MEANING is one of "
                    f"{', '.join(MEANINGS)}"
                )
            self.own[meaning] = name

    def find(self, meaning: str, names: Sequence[str]) -> str | None:
        """The column of a table that means this; None where it has none."""
        candidates = (self.own[meaning],) if meaning in self.own else NAMES[meaning]
        return next((name for name in candidates if name in names), None)

    def need(self, meaning: str, names: Sequence[str], where: str) -> str:
        name = self.find(meaning, names)
        if name is None:
            known = ", ".join(shown(each) for each in names[:8]) + (", ..." if len(names) > 8 else "")
            wanted = self.own.get(meaning, meaning)
            raise ConfigError(
                f"{where} has no column {shown(wanted)} among {known or 'its none'}; rename one, or say "
                f"--column {meaning}=NAME"
            )
        return name

    def classes(self, names: Sequence[str]) -> dict[str, str]:
        """{class: the column of its score}."""
        prefix = self.own.get(PREFIX, PREFIX)
        return {name.removeprefix(prefix): name for name in names if name.startswith(prefix) and name != prefix}

    def is_metadata(self, name: str) -> bool:
        """True for a numeric column that tells of the recording rather than of what was measured in it."""
        bare = name.lower()
        for unit in _UNITS:
            bare = bare.removesuffix(unit)
        return name in self.metadata or bare in _METADATA

    def check_used(self, tables: Mapping[str, Sequence[str]]) -> None:
        """ConfigError where a name that was given stands in no table."""
        everywhere = {name for names in tables.values() for name in names}
        for meaning, name in self.own.items():
            hit = any(each.startswith(name) for each in everywhere) if meaning == PREFIX else name in everywhere
            if not hit:
                raise ConfigError(
                    f"no table has the column {shown(name)} of --column {meaning}={name}; name one of them"
                )
        for name in sorted(self.metadata - everywhere):
            raise ConfigError(f"no table has the column {shown(name)} of --metadata; name one of the episodes table")
