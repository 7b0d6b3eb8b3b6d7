"""The words in which investigations of a study are told: of alerts, of questions and of the rows that answered.

What does not belong here: which investigations are told (`telling.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import pyarrow as pa

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.evaluation.acting.table import ALERT
from rlstir_core.hostlogs.store import opened_rows
from rlstir_core.investigator.inquiry.rows import row_said
from rlstir_core.investigator.queries.catalogue import ACTIONS, PLACE
from rlstir_core.results.layout import Layout

_COLUMNS = ("member", "seq", "ts_ns", "cmdline", "message", "exe")


class StoryWords:
    """`InvestigationWords` of episodes whose log rows are there."""

    def __init__(self, layout: Layout, episodes: Sequence[EpisodeInfo]) -> None:
        self._layout, self._of = layout, {info.episode_id: info for info in episodes}
        self._table = lru_cache(maxsize=1)(self._read)

    def alert(self, episode_id: str) -> str:
        info = self._of[episode_id]
        return f"An {ALERT} on {info.host}."

    def question(self, episode_id: str, step: int, action: str) -> str:
        del episode_id, step
        return ACTIONS[PLACE[action]].sentence if action in PLACE else action

    def rows(self, episode_id: str, rows: Sequence[int]) -> Sequence[str]:
        table = self._table(episode_id)
        said = [row_said(table, row, lambda member: member.rpartition("/")[2]) for row in rows]
        return [f"{each.log}, {each.time}: {each.text}" for each in said]

    def _read(self, episode_id: str) -> pa.Table:
        info = self._of[episode_id]
        with opened_rows(self._layout, info.host, info.own_id) as file:
            return file.read(columns=list(_COLUMNS), use_threads=False)
