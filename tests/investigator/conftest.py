"""One store of logs alone for all tests of the investigator."""

from __future__ import annotations

import pytest
from logs_world import LogsWorld, build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> LogsWorld:
    """Look, do not touch."""
    return build_world(tmp_path_factory.mktemp("logs-world"))
