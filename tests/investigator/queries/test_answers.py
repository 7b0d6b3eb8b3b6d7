"""Which rows answer: the same questions find the same things in a Windows log and in a Linux log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from event_log import Log

from rlstir_core.investigator.queries.answers import answers_by_query
from rlstir_core.investigator.queries.catalogue import PLACE, QUERIES
from rlstir_core.investigator.queries.columns import LogColumns, columns_of
from rlstir_core.investigator.queries.entities import LogEntities, account_name, entities_of

SHELL = (50, 5, "explorer.exe")
RUN = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run\\up"


class Asked:
    """A log whose queries are answered."""

    def __init__(self, log: Log) -> None:
        graph = log.graph()
        self.columns: LogColumns = columns_of(log.table(), graph)
        self.entities: LogEntities = entities_of(self.columns)
        self.answers = answers_by_query(self.columns, self.entities)

    def __call__(self, query: str, name: str = "host") -> list[str]:
        """What the rows that answer are, as event ids (system calls of Linux), in the order of time."""
        entity, row = self.answers[query]
        names = self.entities.kinds[QUERIES[PLACE[query]].about].names  # type: ignore[index]
        places = [at for at, each in enumerate(names) if each.replace("\\", "/").rpartition("/")[2] == name]
        assert places, names
        return [self.columns.event_id[at] for at in row[np.isin(entity, places)].tolist()]


@pytest.fixture
def windows(tmp_path: Path) -> Asked:
    log = Log(tmp_path)
    log.create(0, 100, 1, "word.exe", SHELL)
    log.create(1, 101, 2, "powershell.exe", (100, 1, "word.exe"), CommandLine="powershell -enc aQ== C:\\t\\up.exe")
    log.event(2, 4104, "Microsoft-Windows-PowerShell", ScriptBlockText="iwr", MessageNumber=1)
    log.sysmon(3, 22, 101, 2, "powershell.exe", QueryName="cdn.example.test", QueryResults="::ffff:10.9.8.7;")
    log.sysmon(4, 3, 101, 2, "powershell.exe", DestinationIp="10.9.8.7", DestinationPort=443, Protocol="tcp",
               SourceIp="10.0.0.2", Initiated="true")  # fmt: skip
    log.sysmon(5, 11, 101, 2, "powershell.exe", TargetFilename="C:\\t\\up.exe")
    log.create(6, 102, 3, "t\\up.exe", (101, 2, "powershell.exe"))
    log.sysmon(7, 13, 102, 3, "t\\up.exe", TargetObject=RUN, EventType="SetValue")
    for k in range(4):
        log.security(20 + k, 4625, TargetUserName="bob", IpAddress="10.0.0.66", LogonType=3)
    log.security(30, 4624, TargetUserName="bob", IpAddress="10.0.0.66", LogonType=3)
    log.security(31, 4672, SubjectUserName="bob")
    log.event(40, 7045, "Service Control Manager", ServiceName="up")
    log.security(41, 4698, TaskName="up", SubjectUserName="bob")
    return Asked(log)


def test_a_process_leads_to_what_it_began_wrote_and_connected_to(windows: Asked) -> None:
    assert windows("proc_tree_near", "powershell.exe") == ["1", "1", "1"]  # its parent's start, its own, its child's
    assert windows("proc_tree_far", "word.exe") == ["1", "1", "1"]
    assert windows("file_writes", "powershell.exe") == ["11"]
    assert windows("sockets_process", "powershell.exe") == ["22", "3"]
    assert windows("script_blocks", "word.exe") == ["1"]  # the code that it gave to its child


def test_a_file_an_address_and_a_program_lead_to_whoever_names_them(windows: Asked) -> None:
    assert windows("file_history", "up.exe") == ["1", "11", "1"]  # named, written, run
    assert windows("sockets_destination", "10.9.8.7") == ["22", "3"]
    assert windows("sockets_destination", "10.0.0.66") == ["4625"] * 4 + ["4624"]
    assert windows("cmdline_search", "powershell.exe") == ["1", "1"]  # its own and its child's
    assert windows("signer", "up.exe") == ["11"]  # who wrote its file


def test_an_account_leads_to_its_logons_and_rights(windows: Asked) -> None:
    assert windows("success_after_failure", "bob") == ["4625"] * 4 + ["4624"]
    assert windows("privilege_change", "bob") == ["4672"]


def test_a_host_is_asked_for_what_is_remarkable_anywhere(windows: Asked) -> None:
    assert windows("failed_logons") == ["4625"] * 4
    assert windows("lateral_logon") == ["4624"]
    assert windows("autoruns") == ["13"]
    assert windows("services") == ["7045"] and windows("scheduled") == ["4698"]
    assert windows("rare_dns") == ["22"]
    assert windows("rare_parent") == ["1", "1", "1"]


def test_a_linux_log_answers_the_same_questions(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.call(0, 59, 700, 600, "/usr/bin/bash", "EXECVE argc=3 a0=bash a1=-c a2=sync")
    log.call(1, 57, 700, 600, "/usr/bin/bash", exit="701")
    log.call(2, 59, 701, 700, "/usr/bin/curl", "EXECVE argc=2 a0=curl a1=http://x")
    log.call(3, 42, 701, 700, "/usr/bin/curl", "SOCKADDR saddr=020001BB0A090807000000000000000000")
    log.call(4, 257, 701, 700, "/usr/bin/curl", 'PATH item=0 name="/etc/cron.d/up" nametype=CREATE', a2="0x241")
    asked = Asked(log)
    assert len(asked("proc_tree_near", "curl")) >= 2
    assert asked("sockets_destination", "10.9.8.7") == asked("sockets_process", "curl") == ["SYSCALL"]
    assert asked("file_writes", "curl") == asked("file_history", "up") == asked("scheduled") == ["SYSCALL"]
    assert asked("script_blocks", "bash")


def test_rows_that_repeat_another_answer_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.create(0, 100, 1, "word.exe", SHELL)
    log.create(0, 100, 1, "word.exe", SHELL)
    asked = Asked(log)
    assert asked("proc_tree_near", "word.exe") == asked("exe_prevalence") == ["1"]


def test_one_account_has_one_name() -> None:
    assert {account_name(name, {"1000": "anna"}) for name in ("LAB\\Anna", "anna@lab.local", "1000", "ANNA")} == {
        "anna"
    }
    assert account_name("W1$", {}) == account_name("NT AUTHORITY\\LOCAL SERVICE", {}) == "system"
    assert account_name("-", {}) == account_name("4294967295", {}) == ""


def test_a_tree_begins_below_what_was_there_before_the_log(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.create(0, 100, 1, "one.exe", SHELL)
    log.create(1, 101, 2, "two.exe", SHELL)
    log.create(2, 102, 3, "three.exe", (100, 1, "one.exe"))
    entities = Asked(log).entities
    assert len(set(entities.pooled_N.tolist())) == 2
    assert entities.pooled_N[0] == entities.pooled_N[2]
