"""The corpus on disk, and how many mutations a run makes."""

from __future__ import annotations

import pytest
from hostile_corpus import CASES
from hostile_corpus.store import Corpus, write_corpus


@pytest.fixture
def n_mutations(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--mutations"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("hostile"), CASES)
