"""Members of a tarball: what is known, and that the documents say the same."""

from __future__ import annotations

import pytest

from rlstir_core.contract.members import FIXED, LOGS, is_known, log_member, log_of
from rlstir_core.contract.registry import default_registry
from rlstir_core.contract.tables import PAGE, with_tables


@pytest.mark.parametrize("name", ["meta.json", "proc.jsonl", "logs/audit.log", "logs/events.evtx", "logs/a-b.C_1.evtx"])
def test_the_names_of_the_table_are_known(name: str) -> None:
    assert is_known(name)


@pytest.mark.parametrize(
    "name", ["logs/audit.log.1", "audit.log", "logs/.evtx", "logs/x/y.evtx", "logs/a.evtx\n", "Meta.json", "logs/"]
)
def test_other_names_are_not(name: str) -> None:
    assert not is_known(name)


def test_the_sources_of_the_packaged_registry_stand_in_the_table() -> None:
    names = {member.name for member in FIXED}
    assert {f"{source}.jsonl" for source in default_registry().sources} <= names


def test_a_log_is_found_by_its_name_and_by_its_format() -> None:
    assert len({log.format for log in LOGS}) == len({log.name for log in LOGS}) == len(LOGS)
    for log in LOGS:
        assert log_member(log.import_name) == log_of(log.format) == log
    assert log_member("meta.json") is None


def test_the_tables_of_the_page_are_up_to_date() -> None:
    page = PAGE.read_text()
    assert page == with_tables(page), "write them with `python -m rlstir_core.contract.tables`"
    assert "| `archive.zstd` |" in page and "| `logs/*.evtx` |" in page
