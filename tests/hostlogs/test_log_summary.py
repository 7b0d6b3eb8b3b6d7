"""What closes a command on a store of logs alone: counts that are true, and where the first bad rows stood."""

from __future__ import annotations

from typing import Any

from rlstir_core.evaluation.report.log_summary import log_lines, log_overview
from rlstir_core.provenance.store import build_graphs


def test_the_overview_counts_what_lies_there(logs: Any) -> None:
    logs.build()
    build_graphs(logs.layout, "web1")
    found = log_overview(logs.layout, ["web1"])
    assert found.rows == {"auth": 3, "auditd": 1, "journald": 1, "sysmon": 1} and found.unparsed == {"auth": 1}
    assert found.techniques == {"T1685": 6, "T1105": 1}
    assert found.graphs == 1 and found.left_out == 0 and found.n_unparsed_files == 1
    assert found.example == ("ep-1", "web1") and sum(found.verdicts.values()) == 2
    lines = log_lines(found)
    assert len(lines) <= 20
    for words in (
        "2 episodes of 1 host without telemetry",
        "log rows: auth 3, auditd 1",
        "hosts: web1 2",
        "from 2024-05-01 12:00:00",
        "techniques labelled: T1685 (6 rows), T1105 (1 rows)",
        "could not be parsed: 1 row in 1 file",
        "web1/ep-1, logs/auth.log line 3: no syslog header",
    ):
        assert any(words in line for line in lines), (words, lines)


def test_a_store_without_a_log_says_none(logs: Any) -> None:
    logs.drop("ep-1")
    logs.build()
    found = log_overview(logs.layout, ["web1"])
    assert found.rows == {} and found.example is None and found.graphs == 0
    text = "\n".join(log_lines(found))
    assert "log rows: none" in text and "techniques labelled: none" in text and "parsed: 0 rows" in text
    assert "unknown time" in "\n".join(log_lines(log_overview(logs.layout, [])))
