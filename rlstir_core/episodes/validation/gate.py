"""When the verdicts of a host may be believed, and rows that wait until it is known.

What does not belong here: how a verdict is reached (`reading/read.py`) and what is kept of it (`verdicts.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from rlstir_core.atomic import rename
from rlstir_core.episodes.validation.verdicts import ValidationRow
from rlstir_core.errors import RlstirError
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout

MAX_REJECTED = 0.5  # a host of which more is rejected says more of its recorder than of malware
_STAGED = ".next-"


class VerdictsRefused(RlstirError):
    """Verdicts that would replace good ones, and by which most of a host is rejected: nothing was written."""


def too_many(n_rejected: int, n: int) -> bool:
    """Whether more of `n` episodes are rejected than a host may have."""
    return n_rejected > MAX_REJECTED * n


def rejected(rows: Collection[ValidationRow]) -> int:
    return sum(not row.usable for row in rows)


def rejections(host: str, rows: Collection[ValidationRow]) -> str:
    """One phrase: how many of how many are rejected, and for which reasons."""
    reasons = Counter(row.reason for row in rows if not row.usable)
    why = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common(5))
    return f"{rejected(rows)} of {len(rows)} episodes of host {host!r} are rejected ({why})"


def unbelievable(host: str, rows: Collection[ValidationRow]) -> str:
    """The sentence of whoever refuses a host of which most is rejected."""
    return (
        f"{rejections(host, rows)}, more than half, so nothing is made of that host; send good recordings, or take the "
        f"host out of the index, then make its verdicts again with: {how_to_make('validation')}"
    )


class StagedRows:
    """Where the rows of episodes in work lie: beside their places until enough of the host is usable, then at them."""

    def __init__(self, layout: Layout, host: str, *, n_usable: int, of: int) -> None:
        self._layout, self._host = layout, host
        self._n_usable, self._of = n_usable, of
        self._staged: list[str] = []
        self.committed = False
        self.discard()  # of a run that was killed

    @property
    def safe(self) -> bool:
        """Whether enough episodes are usable, whatever the others turn out to be."""
        return not too_many(self._of - self._n_usable, self._of)

    def place(self, episode: str) -> Path:
        """Where the rows of `episode` are to be written now."""
        if self.committed:
            return self._layout.rows(self._host, episode)
        self._staged.append(episode)
        return self._beside(episode)

    def took(self, row: ValidationRow) -> None:
        """Counts a verdict that was reached."""
        self._n_usable += row.usable

    def commit(self) -> None:
        """From here on rows replace those of before."""
        for episode in self._staged:
            if self._beside(episode).exists():
                rename(self._beside(episode), self._layout.rows(self._host, episode))
        self._staged, self.committed = [], True

    def discard(self) -> None:
        """Leaves the rows of before as they were."""
        folder = self._layout.rows(self._host, "x").parent
        for path in folder.glob(f"{_STAGED}*") if folder.is_dir() else ():
            path.unlink(missing_ok=True)
        self._staged = []

    def _beside(self, episode: str) -> Path:
        path = self._layout.rows(self._host, episode)
        return path.with_name(f"{_STAGED}{path.name}")
