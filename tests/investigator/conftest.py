"""One store of logs alone for all tests of the investigator, and a little table, taught in a second."""

from __future__ import annotations

import numpy as np
import pytest
from logs_world import LogsWorld, build_world

from rlstir_core.investigator.acquire.classifier import Classifier, Teaching, fit_classifier
from rlstir_core.investigator.acquire.table import Table


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> LogsWorld:
    """Look, do not touch."""
    return build_world(tmp_path_factory.mktemp("logs-world"))


def little_table(n: int = 240) -> Table:
    """Column `where` says which of two columns holds the class; a fourth is noise and dear."""
    rng = np.random.default_rng(4)
    where, noise = rng.integers(0, 2, n), rng.normal(size=n)
    left, right = rng.integers(0, 2, (2, n))
    x_NC = np.stack([where, left, right, noise], 1).astype(np.float64)
    costs = np.array([1, 1, 1, 3], np.float32)
    return Table(("where", "left", "right", "noise"), ("no", "yes"), x_NC, np.where(where == 0, left, right), costs)


@pytest.fixture(scope="session")
def table() -> Table:
    return little_table()


@pytest.fixture(scope="session")
def classifier(table: Table) -> Classifier:
    teaching = Teaching(hidden=24, steps=150, batch=64, learning_rate=1e-2, dropout=0.0, weight_decay=1e-3)
    return fit_classifier(table, table, teaching, 0)
