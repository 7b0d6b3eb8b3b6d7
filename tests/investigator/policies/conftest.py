"""Lanes over the little table."""

from __future__ import annotations

import pytest

from rlstir_core.investigator.acquire.classifier import Classifier
from rlstir_core.investigator.acquire.lanes import TableLanes
from rlstir_core.investigator.acquire.table import Table

PRICE = 0.02


@pytest.fixture
def table_lanes(table: Table, classifier: Classifier) -> TableLanes:
    return TableLanes(table, classifier, n_lanes=16, price=PRICE, most=4)
