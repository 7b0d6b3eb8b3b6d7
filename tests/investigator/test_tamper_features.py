"""Features of rows: nothing that comes later moves them, and each tells what it says."""

from __future__ import annotations

import numpy as np
import pytest
from tamper_world import SECURITY, audit, event, export, guid, lines, syslog, table

from rlstir_core.investigator.tamper import row_features as module
from rlstir_core.investigator.tamper.row_features import NAMES, row_features


def windows() -> list[dict[str, object]]:
    logons = [event(1, 0, 4624, provider=SECURITY, TargetLogonId="0x99", SubjectLogonId="0x3e7")]
    own, parent = guid(10, 2), guid(0, 1)
    born = {"ProcessGuid": own, "ParentProcessGuid": parent, "ProcessId": 10, "ParentProcessId": 4, "CommandLine": ""}
    return [
        *logons,
        event(900, 10, 1, **born),
        event(901, 12, 3, ProcessGuid=own, ProcessId=10),
        event(905, 11, 1, **born),
        event(2, 20, 4688, provider=SECURITY, NewProcessId="0xa", ProcessId="0x5", SubjectLogonId="0x99"),
        *export([30 + 3 * k for k in range(9)]),
    ]


def column(values: np.ndarray, name: str) -> list[float]:
    return [round(float(each), 3) for each in values[:, NAMES.index(name)]]


def test_features_tell_steps_clocks_and_what_was_seen_to_begin() -> None:
    rows = table(sysmon_jsonl=lines(windows()))
    values = row_features(rows).values_NF[np.argsort(rows["seq"].to_numpy())]
    assert column(values, "since_log")[:4] == pytest.approx([0, 0, np.log1p(2), -np.log1p(1)], abs=1e-3)
    assert column(values, "since_any")[1] == pytest.approx(np.log1p(10), abs=1e-3)
    assert column(values, "behind_log")[3] == pytest.approx(np.log1p(1), abs=1e-3)
    assert column(values, "id_step")[2:4] == pytest.approx([0, np.log1p(3)], abs=1e-3)
    assert column(values, "process_begun")[1:5] == [1, 1, 1, 1]
    assert column(values, "parent_begun")[1:5] == [-1, 0, -1, -1]
    assert column(values, "session_begun")[0] == 1 and column(values, "session_begun")[4] == 1
    assert column(values, "begins_again")[1:4] == [0, 0, 1]
    assert column(values, "command_empty")[1:3] == [1, 0]
    assert column(values, "header_known") == [0] * 5 + [1] * 9
    assert column(values, "header_own")[5] == pytest.approx(np.log1p(3), abs=1e-3)
    assert column(values, "header_before")[6:] == [0] * 8


def test_a_feature_of_a_row_knows_nothing_of_later_rows_nor_of_other_files(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = {
        "sysmon_jsonl": windows(),
        "audit_log": audit([5, 6, 9, 8], seconds=[1, 3, 2, 7]).splitlines(keepends=True),
        "auth_log": syslog([(k, "sshd[9]", f"Accepted {k}" if k == 2 else "x") for k in range(5)]).splitlines(True),
    }
    whole = {
        name: row_features(table(**{name: lines(each) if name == "sysmon_jsonl" else b"".join(each)}))
        for name, each in logs.items()
    }
    both = table(**{name: lines(each) if name == "sysmon_jsonl" else b"".join(each) for name, each in logs.items()})
    monkeypatch.setattr(module, "log_files", lambda rows, files=module.log_files: files(rows, most=2))
    together = row_features(both).values_NF
    for name, each in logs.items():
        alone = table(**{name: lines(each) if name == "sysmon_jsonl" else b"".join(each)})
        by_seq = whole[name].values_NF[np.argsort(alone["seq"].to_numpy())]
        here = np.flatnonzero(np.array(both["member"].to_pylist()) == f"logs/{name.replace('_', '.')}")
        assert (together[here][np.argsort(both["seq"].to_numpy()[here])] == by_seq).all()
        for n in range(1, len(each)):
            cut = table(**{name: lines(each[:n]) if name == "sysmon_jsonl" else b"".join(each[:n])})
            assert (row_features(cut).values_NF[np.argsort(cut["seq"].to_numpy())] == by_seq[:n]).all()


def test_what_a_file_names_is_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KNOWN_AT_MOST", 1)
    rows = table(sysmon_jsonl=lines(windows()))
    values = row_features(rows).values_NF[np.argsort(rows["seq"].to_numpy())]
    assert column(values, "session_begun")[4] == -1
