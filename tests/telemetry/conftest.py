"""A store of tiny episodes for every test of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_store import REGISTRY, Tiny, source_rows

from rlstir_core.contract.registry import Registry, parse_registry


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Tiny:
    """Another store beside `tiny`."""
    return Tiny(tmp_path / "other")


@pytest.fixture
def make_rows() -> Any:
    return source_rows


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The tiny store's registry."""
    return parse_registry(REGISTRY.encode())
