"""Every column of every table is described, in one place, and nothing else is."""

from __future__ import annotations

import re

from rlstir_core.contract import columns
from rlstir_core.episodes.validation.verdicts import VALIDATION_SCHEMA
from rlstir_core.evaluation.acting.table import SCHEMA as INVESTIGATIONS
from rlstir_core.hostlogs.table import SCHEMA
from rlstir_core.provenance.tables import SCHEMAS
from rlstir_core.telemetry.store import KEY_COLUMNS, LABEL_COLUMNS, WINDOW_TYPES
from rlstir_core.telemetry.summary import OF_PARTS, STATISTICS


def test_every_column_is_described_in_the_order_of_its_table() -> None:
    assert list(columns.VALIDATION) == VALIDATION_SCHEMA.names
    assert list(columns.LOG_EVENTS) == SCHEMA.names
    assert {name: list(words) for name, words in columns.GRAPHS.items()} == {n: s.names for n, s in SCHEMAS.items()}
    assert list(columns.WINDOW_KEYS) == list(WINDOW_TYPES) == [*KEY_COLUMNS, *LABEL_COLUMNS]
    assert tuple(columns.STATISTICS) == (*STATISTICS, "missing")
    assert list(columns.INVESTIGATIONS) == INVESTIGATIONS.names
    assert all(re.fullmatch(r"(mean|std|slope)_[1-8]of[48]", name) for name in OF_PARTS) and columns.OF_PARTS
