"""What an event's fields make of a log row: process, program, account, and the text for templates."""

from __future__ import annotations

from typing import Any

import pytest

from rlstir_core.hostlogs.schema import LogRow
from rlstir_core.hostlogs.windows.event import Envelope, WindowsEvent, event_id_text, flatten, number, to_row

SYSMON = "Microsoft-Windows-Sysmon"
SECURITY = "Microsoft-Windows-Security-Auditing"


def row(provider: str, event_id: int, fields: dict[str, Any], **envelope: Any) -> LogRow:
    event = WindowsEvent(
        provider=provider,
        event_id=str(event_id),
        fields=fields,
        computer="DC01.lab.local",
        envelope=Envelope(execution_pid=4, execution_tid=8, **envelope),
    )
    return to_row(event, 7, "{}")


def test_the_process_of_a_4688_is_the_new_one_and_its_creator_the_parent() -> None:
    fields = {
        "SubjectUserName": "anna",
        "SubjectDomainName": "LAB",
        "SubjectUserSid": "S-1-5-21-1",
        "NewProcessId": "0x1a74",
        "NewProcessName": r"C:\x.exe",
        "ProcessId": "0xc08",
        "CommandLine": "x -y",
        "TargetUserName": "-",
    }
    found = row(SECURITY, 4688, fields)
    assert (found.pid, found.ppid, found.exe, found.cmdline) == (0x1A74, 0xC08, r"C:\x.exe", "x -y")
    assert (found.user, found.sid, found.channel, found.host) == ("LAB\\anna", "S-1-5-21-1", "evtx", "dc01")


@pytest.mark.parametrize(
    ("provider", "event_id", "fields", "pid", "exe"),
    [
        (SYSMON, 1, {"ProcessId": 12, "Image": "a"}, 12, "a"),
        (SYSMON, 10, {"ProcessId": "9", "SourceProcessId": "12", "SourceImage": "a", "TargetProcessId": "7"}, 12, "a"),
        (SECURITY, 4690, {"ProcessId": "0x1", "SourceProcessId": "0xc", "TargetProcessId": "0x4"}, 12, ""),
        (SECURITY, 4799, {"CallerProcessId": "0xc", "CallerProcessName": "a"}, 12, "a"),
        (SECURITY, 4698, {"ClientProcessId": "12", "ParentProcessId": "3"}, 12, ""),
        (
            SECURITY,
            5156,
            {"ProcessID": "12", "Application": r"\device\harddiskvolume2\a"},
            12,
            r"\device\harddiskvolume2\a",
        ),
        ("Microsoft-Windows-Bits-Client", 3, {"processId": 12, "processPath": "a"}, 12, "a"),
        ("Microsoft-Windows-WMI-Activity", 5857, {"HostProcess": "a", "ProcessID": 12}, 12, "a"),
        ("ESENT", 216, {"param1": "a", "param2": "12"}, 12, "a"),
        ("Microsoft-Windows-Windows Defender", 1116, {"Process Name": "a"}, -1, "a"),
        ("Service Control Manager", 7036, {"param1": "x", "param2": "12"}, -1, ""),
    ],
)
def test_the_process_stands_where_the_event_says_never_in_execution(
    provider: str, event_id: int, fields: dict[str, Any], pid: int, exe: str
) -> None:
    found = row(provider, event_id, fields)
    assert (found.pid, found.exe) == (pid, exe)


def test_powershell_logs_itself_so_execution_names_its_process() -> None:
    context = "  Host Name = x\r\n        Host Application = powershell -enc AA==\r\n        User = LAB\\anna\r\n"
    found = row("Microsoft-Windows-PowerShell", 4103, {"ContextInfo": context, "Payload": "x"})
    assert (found.pid, found.tid, found.cmdline, found.user) == (4, 8, "powershell -enc AA==", "LAB\\anna")


def test_a_script_block_is_no_command_line() -> None:
    assert row("Microsoft-Windows-PowerShell", 4104, {"ScriptBlockText": "iex evil"}).cmdline == ""


def test_a_logon_belongs_to_who_logged_on_and_sysmons_own_account_to_nobody() -> None:
    fields = {"SubjectUserName": "DC01$", "TargetUserName": "anna", "TargetDomainName": "LAB", "TargetUserSid": "S-1-2"}
    assert (row(SECURITY, 4624, fields).user, row(SECURITY, 4624, fields).sid) == ("LAB\\anna", "S-1-2")
    assert row(SECURITY, 4663, fields).user == "DC01$"
    assert row(SYSMON, 11, {"Image": "a"}, sid="S-1-5-18", user="SYSTEM").sid == ""
    assert row("Service Control Manager", 7045, {"ImagePath": "a -b"}, sid="S-1-9").sid == "S-1-9"


def test_sysmons_text_gives_the_process_id_that_an_exporter_lost() -> None:
    text = "Process Create:\r\nRuleName: \r\nProcessGuid: {1}\r\nProcessId: 2964\r\nCommandLine: x\r\nProcessId: 1\r\n"
    assert row(SYSMON, 1, {"Image": "a"}, rendered=text).pid == 2964
    assert row(SECURITY, 4688, {"NewProcessName": "a"}, rendered=text).pid == -1


@pytest.mark.parametrize(
    "value", ["-", "", "0x", "0xzz", "0x1_0", "12a", "٣", "9" * 5000, "0x" + "f" * 5000, 2**40, -1, 1.5, True, None, []]
)
def test_what_is_no_process_id_is_missing(value: object) -> None:
    assert number(value) == -1


def test_an_event_id_is_an_int_a_text_or_an_element() -> None:
    values = [7045, "7045", {"#text": 7045}, {"#attributes": {"Qualifiers": 1}, "#text": "7045"}, 7045.0]
    assert {event_id_text(value) for value in values} == {"7045"}
    assert [event_id_text(value) for value in (None, [], {}, True)] == ["", "", "", ""]


def test_all_messages_of_a_kind_have_the_same_words_in_the_same_places() -> None:
    one = row(
        SYSMON,
        1,
        {"Image": r"C:\Program Files\a.exe", "CommandLine": "a  -b\r\n-c", "RuleName": "T1059", "UtcTime": "x"},
    )
    two = row(SYSMON, 1, {"UtcTime": "y", "CommandLine": "", "Image": "b", "RuleName": "-"})
    assert one.message == rf"{SYSMON} 1 CommandLine=a_-b_-c Image=C:\Program_Files\a.exe"
    assert two.message == f"{SYSMON} 1 CommandLine= Image=b"


def test_a_value_cannot_imitate_the_layout_of_a_message() -> None:
    evil = "x Image=evil\n\ue000Image=evil\x00 %s"
    message = row(SYSMON, 1, {"CommandLine": evil, "Image": "good", "a b=%d": 1}).message
    assert len(message.split()) == 5
    assert message.split()[3] == "Image=good"
    assert message.split()[4] == "a_b_%d=1"


def test_a_message_stays_short_whatever_its_values() -> None:
    fields = {f"f{i}": "x" * 10_000 for i in range(500)}
    assert len(row(SYSMON, 1, fields).message) < 64 * 200


def test_nested_unnamed_and_repeated_data_become_one_level() -> None:
    assert flatten({"Data": {"#text": ["a", "b"]}, "Binary": None}) == {"param1": "a", "param2": "b", "Binary": None}
    assert flatten({"Data": [{"@Name": "A", "#text": "1"}, {"Name": "B", "#text": "2"}]}) == {"A": "1", "B": "2"}
    assert flatten({"Data": [{"#attributes": {"Name": "A"}, "#text": "1"}]}) == {"A": "1"}
    cleared = {"LogFileCleared": {"#attributes": {"xmlns": "x"}, "SubjectUserName": "anna"}}
    assert flatten(cleared) == {"SubjectUserName": "anna"}
    assert flatten({"X": {"Aux": {"#attributes": {"ProcessName": "m.exe"}}}}) == {"ProcessName": "m.exe"}
    assert flatten({"Op": {"Name": "a", "Value": "b"}}) == {"Name": "a", "Value": "b"}


def test_a_hundred_thousand_unnamed_values_cost_no_square() -> None:
    assert len(flatten({"Data": ["x"] * 100_000})) == 100_000
