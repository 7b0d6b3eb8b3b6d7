"""Fields by place and from rendered texts: read where they are certain, else missing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from one_event import CMD, EXE, PARENT, PLACES, SECURITY, SID, SYSMON

from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.windows.json_events import SPEC
from rlstir_core.hostlogs.windows.places import by_place

TEXT = (
    "A new process has been created.\r\n\r\nCreator Subject:\r\n"
    f"\tSecurity ID:\t\t{SID}\r\n\tAccount Name:\t\tmia\r\n\tAccount Domain:\t\tCORP\r\n\tLogon ID:\t\t0x1267\r\n\r\n"
    "Target Subject:\r\n\tSecurity ID:\t\tS-1-0-0\r\n\tAccount Name:\t\t-\r\n\tAccount Domain:\t\t-\r\n\r\n"
    f"Process Information:\r\n\tNew Process ID:\t\t0x1c84\r\n\tNew Process Name:\t{EXE}\r\n"
    f"\tCreator Process ID:\t0xc30\r\n\tCreator Process Name:\t{PARENT}\r\n\tProcess Command Line:\t{CMD}\r\n\r\n"
    "Token Elevation Type indicates the type of token that was assigned.\r\n"
)
GET_WINEVENT = {
    "Id": 4688,
    "ProviderName": SECURITY,
    "LogName": "Security",
    "ProcessId": 4,
    "ThreadId": 60,
    "MachineName": "PC7.corp.test",
    "UserId": None,
    "TimeCreated": "/Date(1717228800250)/",
    "Message": TEXT,
}


def one(record: dict[str, Any]) -> LogRow:
    (found,) = SPEC.read([json.dumps(record).encode()], LogContext())
    return found


@pytest.mark.parametrize(
    ("event_id", "log", "values", "message", "pid", "user"),
    [
        (4624, "Security", ["S-1-5-18"], "Un compte s'est connecté.\r\n\tID du processus :\t0x2bc", -1, ""),
        (4663, "Security", None, "An object.\r\n\r\nProcess Information:\r\n\tProcess ID:\t\t0x9d0\r\n", 0x9D0, ""),
        (4799, "Security", None, "A group.\r\n\r\nProcess Information:\r\n\tProcess ID:\t\t0x9d0\r\n", 0x9D0, ""),
        (5156, "Security", [44, "\\device\\a", "%%14593", "10.0.0.1", "5", "10.0.0.2", "6", 6, 1, "x", 2], "", 44, ""),
        (4634, "Security", [SID, "mia", "CORP", 7, 3], "", -1, r"CORP\mia"),
        (4720, "Security", ["new", "CORP", SID, "S-1-2", "mia", "CORP", 7, *["-"] * 19], "", -1, r"CORP\mia"),
        (1102, "Security", None, "Gone.\r\nSubject:\r\n\tAccount Name:\tmia\r\n\tDomain Name:\tCORP", -1, r"CORP\mia"),
    ],
)  # fmt: skip
def test_a_field_is_read_by_place_or_from_english_text_or_not_at_all(
    event_id: int, log: str, values: list[Any] | None, message: str, pid: int, user: str
) -> None:
    properties = [{"Value": value} for value in values or []]
    found = one(GET_WINEVENT | {"Id": event_id, "LogName": log, "Message": message, "Properties": properties})
    assert (found.pid, found.user) == (pid, user)


def test_powershells_own_user_is_the_events_user_where_windows_resolved_none() -> None:
    service = GET_WINEVENT | {
        "Id": 7045,
        "ProviderName": "Service Control Manager",
        "LogName": "System",
        "UserId": {"BinaryLength": 12, "AccountDomainSid": None, "Value": "S-1-5-18"},
        "Properties": [{"Value": value} for value in ("upd", r"C:\x.exe -k", "user mode", "demand", "LocalSystem")],
    }
    found = one(service)
    assert (found.pid, found.cmdline, found.sid) == (-1, r"C:\x.exe -k", "S-1-5-18")
    text = "A service was installed.\r\n\r\nService Name:  upd\r\nService File Name:  C:\\x.exe -k\r\n"
    assert one(service | {"Properties": [{"Value": "upd"}], "Message": text}).cmdline == r"C:\x.exe -k"


def test_powershells_process_is_the_one_that_wrote_the_event() -> None:
    block = {"Id": 4104, "ProviderName": "Microsoft-Windows-PowerShell", "ProcessId": 812, "ThreadId": 9}
    block |= {"LogName": "Microsoft-Windows-PowerShell/Operational", "Message": ""}
    found = one(GET_WINEVENT | block | {"Properties": [{"Value": value} for value in (1, 1, "iex x", "id", "")]})
    assert (found.pid, found.tid) == (812, 9)
    assert "ScriptBlockText=iex_x" in found.message


def test_what_get_winevent_shows_of_an_event_is_enough_to_know_it() -> None:
    shown = {key: GET_WINEVENT[key] for key in ("TimeCreated", "Id", "Message")} | {"LevelDisplayName": "Information"}
    row = one(shown)
    assert row.parsed and row.timed and row.provider == SECURITY
    assert (row.pid, row.ppid, row.exe, row.cmdline, row.user) == (7300, 3120, EXE, CMD, "CORP\\mia")
    other = one(shown | {"Id": 7036, "Message": "The service entered the running state."})
    assert other.parsed and (other.provider, other.event_id, other.pid) == ("", "7036", -1)


SYSMON_TEXT = (
    "Process Create:\r\nRuleName: -\r\nUtcTime: 2024-06-01 08:00:00.250\r\nProcessGuid: {1}\r\nProcessId: 7300\r\n"
    "Image: C:\\Tools\\net.exe\r\nCommandLine: {0}\r\nUser: CORP\\mia\r\nParentProcessId: 3120\r\n"
    "ParentImage: C:\\p.exe\r\nParentCommandLine: p"
)


def test_sysmons_text_is_read_in_every_language_and_a_command_line_cannot_pass_for_another_field() -> None:
    sysmon = GET_WINEVENT | {"Id": 1, "ProviderName": SYSMON, "LogName": f"{SYSMON}/Operational", "ProcessId": 2100}
    found = one(sysmon | {"Message": SYSMON_TEXT.replace("{0}", CMD)})
    assert (found.pid, found.ppid, found.exe, found.cmdline) == (7300, 3120, EXE, CMD)
    assert (found.user, found.channel) == (r"CORP\mia", "sysmon")
    evil = one(
        sysmon | {"Message": SYSMON_TEXT.replace("{0}", "x\r\nProcessId: 4\r\nUser: CORP\\admin\r\nParentProcessId: 5")}
    )
    assert (evil.pid, evil.user, evil.ppid) == (7300, "", -1), "what comes twice is nobody's word"
    lines = one(sysmon | {"Message": SYSMON_TEXT.replace("{0}", "x\r\n y")})
    assert lines.cmdline == "x\n y"


def test_a_command_line_in_a_security_text_cannot_pass_for_another_field() -> None:
    evil = TEXT.replace(CMD, "x\r\n\tNew Process ID:\t\t0x4\r\nSubject:\r\n\tAccount Name:\tadmin")
    found = one(GET_WINEVENT | {"Message": evil})
    assert (found.pid, found.user) == (7300, r"CORP\mia")


def test_values_by_place_that_fit_no_version_say_nothing() -> None:
    assert by_place(SECURITY, "4688", PLACES[:7]) == {}
    assert by_place(SECURITY, "4688", PLACES)["NewProcessId"] == 7300
    assert by_place(SECURITY, "4688", "x" * 15) == {} == by_place("x", "1", [1])
