"""What rows become: edges of every kind, dialects, and hostile fields that never raise."""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

import pytest

from rlstir_core.provenance.facts import PATH_CHARS, Dropped, Row, address_of, guid_of, hashes_of, path_of, port_of
from rlstir_core.provenance.graph import GraphBuilder
from rlstir_core.provenance.windows_facts import KINDS, Fields, decode, windows_path


def test_sysmon_events_make_edges_of_every_type(log: Any) -> None:
    sha = "AB" * 32
    log.sysmon(0, 7, 10, 1, ImageLoaded="C:\\a.exe", Hashes=f"MD5={'0' * 32},SHA256={sha}", Signed="true")
    log.sysmon(1, 11, 10, 1, TargetFilename="C:\\Users\\x")
    log.sysmon(2, 23, 10, 1, TargetFilename="c:\\users\\X")
    log.sysmon(3, 13, 10, 1, EventType="SetValue", TargetObject="HKLM\\Run\\evil")
    log.sysmon(4, 3, 10, 1, Protocol="tcp", Initiated=True, SourceIp="10.0.0.1", DestinationIp="10.0.0.2",
               DestinationPort="443")  # fmt: skip
    log.sysmon(5, 22, 10, 1, QueryName="Evil.example.")
    log.event(6, 10, SourceProcessGUID=log.guid(1), SourceProcessId=10, SourceImage="C:\\a.exe",
              TargetProcessGUID=log.guid(2), TargetProcessId=20, TargetImage="C:\\lsass.exe")  # fmt: skip
    log.sysmon(7, 17, 10, 1, EventType="CreatePipe", PipeName="\\evil")
    graph = log.graph()
    made = [(each["etype"], each["op"]) for each in log.edges(graph)]
    assert made == [
        ("PROC_FILE_RW", "load"),
        ("PROC_FILE_RW", "create"),
        ("PROC_FILE_RW", "delete"),
        ("PROC_FILE_RW", "write"),
        ("PROC_SOCK_CONN", "connect"),
        ("PROC_SOCK_CONN", "query"),
        ("PROC_PROC_ACCESS", "access"),
        ("PROC_FILE_RW", "create"),
    ]
    files = graph["file_nodes"].to_pylist()
    assert [(each["kind"], each["path"]) for each in files] == [
        ("file", "C:\\a.exe"), ("file", "C:\\Users\\x"), ("registry", "HKLM\\Run\\evil"), ("pipe", "\\evil"),
    ]  # fmt: skip
    assert files[0]["sha256"] == sha.lower() and files[0]["signed"] is True and files[0]["entropy"] is None
    proc = log.procs(graph)[0]
    assert proc["signed"] is True and proc["exe_hash"] == sha.lower()
    tcp, dns = graph["sock_nodes"].to_pylist()
    assert (tcp["l4"], tcp["src_ip"], tcp["dst_ip"], tcp["dst_port"], tcp["host"]) == ("tcp", "10.0.0.1", "10.0.0.2",
                                                                                     443, None)  # fmt: skip
    assert (dns["l4"], dns["name"], dns["host"]) == ("dns", "evil.example", "ws")


def test_a_connection_seen_at_both_ends_is_one_endpoint(log: Any) -> None:
    ends = {"Protocol": "tcp", "SourceIp": "10.0.0.1", "DestinationIp": "10.0.0.2", "DestinationPort": 445}
    log.sysmon(0, 3, 10, 1, Initiated=True, **ends)
    log.sysmon(0, 3, 4, 2, "System", Initiated=False, host="dc", **ends)
    graph = log.graph()
    assert len(graph["sock_nodes"]) == 1
    assert [each["op"] for each in log.edges(graph)] == ["connect", "accept"]


def test_equal_edges_are_one_with_their_rows(log: Any) -> None:
    for second in (3, 1, 2):
        log.sysmon(second, 11, 10, 1, TargetFilename="C:\\f")
    [edge] = log.edges(log.graph())
    assert edge["n"] == 3 and edge["rows"] == [0, 1, 2] and edge["last_ns"] - edge["ts_ns"] == 2_000_000_000


def test_a_row_that_repeats_another_counts_once(log: Any) -> None:
    log.sysmon(0, 11, 10, 1, TargetFilename="C:\\f")
    log.lines *= 2
    [edge] = log.edges(log.graph())
    assert edge["n"] == 1 and log.counts.duplicates == 1


def test_a_file_reached_over_the_network_is_served_by_the_system_process(log: Any) -> None:
    log.security(0, 5145, ShareName="\\\\*\\C$", RelativeTargetName="Windows\\x.exe", AccessMask="0x2",
                 IpAddress="::ffff:10.0.0.9", IpPort="5000")  # fmt: skip
    graph = log.graph()
    assert [each["pid"] for each in log.procs(graph)] == [4]
    assert graph["file_nodes"]["path"].to_pylist() == ["\\\\ws\\C$\\Windows\\x.exe"]
    assert graph["sock_nodes"]["src_ip"].to_pylist() == ["10.0.0.9"]


def test_audit_calls_make_edges_and_failures_are_told_apart(log: Any) -> None:
    log.call(0, 2, 20, 10, "/bin/cat", 'PATH item=0 name="/etc/shadow" nametype=NORMAL', success="no", exit="-13")
    log.call(1, 257, 20, 10, "/bin/cat", 'CWD cwd="/tmp"', 'PATH item=0 name="/tmp" nametype=PARENT',
             'PATH item=1 name="x" nametype=CREATE', a0="ffffff9c", a2="241")  # fmt: skip
    log.call(2, 42, 20, 10, "/bin/cat", "SOCKADDR saddr=02000050A9FEA9FE0000000000000000", success="no", exit="-115")
    log.call(3, 62, 20, 10, "/bin/cat", a0="1e", a1="9")
    graph = log.graph()
    assert [(each["etype"], each["op"]) for each in log.edges(graph)] == [
        ("PROC_CHILD", "ppid"),
        ("PROC_FILE_RW", "read_failed"),
        ("PROC_FILE_RW", "create"),
        ("PROC_FILE_RW", "write"),
        ("PROC_SOCK_CONN", "connect"),
        ("PROC_PROC_ACCESS", "signal"),
    ]
    [sock] = graph["sock_nodes"].to_pylist()
    assert (sock["dst_ip"], sock["dst_port"], sock["l4"]) == ("169.254.169.254", 80, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"ProcessGuid": 7, "ProcessId": 10, "Image": ["x"]},
        {"ProcessGuid": "x" * 100_000, "ProcessId": 1e300, "Image": "C:\\a\x00b"},
        {"ProcessGuid": {"a": {"b": []}}, "ProcessId": -5, "Image": None},
        {"ProcessGuid": "{00000000-0000-0000-0000-000000000000}", "ProcessId": 2**70, "Image": ""},
        {"ProcessGuid": None, "ProcessId": "0x" + "f" * 30, "Image": "y" * 200_000},
    ],
)
@pytest.mark.parametrize("event_id", [1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 15, 17, 22, 23, 26])
def test_hostile_fields_are_dropped_and_never_raise(log: Any, event_id: int, fields: dict[str, Any]) -> None:
    names = ("TargetFilename", "ImageLoaded", "TargetObject", "PipeName", "Device", "QueryName", "SourceIp",
             "DestinationIp", "DestinationPort", "TargetProcessId", "TargetProcessGUID", "ParentProcessGuid",
             "ParentProcessId", "Hashes", "EventType", "Signed")  # fmt: skip
    for value in (None, 7, -1, True, [], {}, "", "-", "\x00", "\ud800x", "\u202e" * 9000, "a" * 100_000, 2**63):
        log.event(0, event_id, **fields, **dict.fromkeys(names, value))
    graph = log.graph()
    assert log.counts.rows == 13
    assert all(len(path) <= PATH_CHARS for path in graph["file_nodes"]["path"].to_pylist())
    assert all("\0" not in (each["exe"] or "") for each in log.procs(graph))


@pytest.mark.parametrize("event_id", [4656, 4658, 4663, 4688, 4689, 4690, 5145, 5154, 5156, 5157, 5158])
def test_hostile_fields_of_security_never_raise(log: Any, event_id: int) -> None:
    names = ("ProcessId", "NewProcessId", "NewProcessName", "ProcessName", "ParentProcessName", "ObjectName",
             "AccessMask", "ShareName", "RelativeTargetName", "IpAddress", "SourceAddress", "DestAddress", "DestPort",
             "SourcePort", "Protocol", "Direction", "Application", "CommandLine")  # fmt: skip
    for value in (None, 7, -1, True, [], {}, "", "-", "\x00", "0x0", "\u202e" * 9000, 2**63):
        log.security(0, event_id, ObjectType="File", **dict.fromkeys(names, value))
    log.graph()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_value_in_any_field_breaks_a_fact(kind: tuple[str, str]) -> None:
    rng = random.Random(kind[1])
    values = [None, 0, 4, -1, 2**70, True, 1.5, [], {}, "", "-", "\\", "\\??\\", "\\REGISTRY\\MACHINE", "/", "\0",
              "0x4", "x" * 9000, "é", "\ud800", "%%14592", "0x2", "10.0.0.1", "File", "true", b"x"]  # fmt: skip
    builder = GraphBuilder()
    for at in range(1500):
        fields = Fields(**{name: rng.choice(values) for name in Fields.__struct_fields__})
        texts = [value for value in values if isinstance(value, str)]
        row = Row(at, at, "ws", rng.choice((-1, 0, 4, 9)), rng.choice((-1, 0, 4, 9)), rng.choice(texts), "u",
                  rng.choice(texts))  # fmt: skip
        with contextlib.suppress(Dropped):
            builder.add(row, KINDS[kind](row, fields))
    assert all(len(table) >= 0 for table in builder.finish().values())


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "{", '{"Event":7}', '{"syscall":9}', '{"syscall":"open","paths":[7]}', "[" * 5000, "\\"]
)
def test_a_record_that_is_not_what_its_columns_say_is_dropped(log: Any, text: str) -> None:
    log.sysmon(0, 11, 10, 1, TargetFilename="C:\\f")
    log.call(1, 2, 20, 10, "/bin/cat", 'PATH item=0 name="/f" nametype=NORMAL')
    graph = log.graph({0: text, 1: text})
    assert not log.edges(graph) or text == '{"syscall":9}'
    assert sum(log.counts.dropped.values()) >= 1


def test_processes_that_are_their_own_parents_or_each_others_stay_a_tree(log: Any) -> None:
    log.create(0, 10, 1, "self.exe", (10, 1, "self.exe"))
    log.create(1, 20, 2, "a.exe", (30, 3, "b.exe"))
    log.create(2, 30, 3, "b.exe", (20, 2, "a.exe"))
    log.create_4688(3, 40, "c.exe", 40, "c.exe")
    graph = log.graph()
    assert log.tree(graph)["self.exe"] is None and log.tree(graph)["a.exe"] == "b.exe"
    assert log.tree(graph)["b.exe"] is None
    assert log.counts.dropped["cycle"] == 1 and log.counts.dropped["its own parent"] >= 1


def test_a_long_chain_of_parents_takes_no_quadratic_time(log: Any) -> None:
    from rlstir_core.provenance.facts import Created, Row, Who
    from rlstir_core.provenance.graph import GraphBuilder

    builder = GraphBuilder()
    n = 30_000
    for i in range(n, 0, -1):  # every child before its parent, and each parent has a child already
        who, parent = Who(guid=str(i)), Who(guid=str(i - 1))
        builder.add(Row(n - i, n - i, "ws"), [Created(who, parent, "sysmon")])
    builder.add(Row(n, n, "ws"), [Created(Who(guid="0"), Who(guid=str(n)), "sysmon")])
    assert builder.counts["cycle"] == 1


@pytest.mark.parametrize(
    "record",
    [
        {"Event": {"System": {"EventID": 1}, "EventData": {"ProcessGuid": "g", "ProcessId": 1}}},
        {"Event": {"System": {"EventID": 1}, "EventData": {"Data": [{"@Name": "ProcessGuid", "#text": "g"}]}}},
        {"winlog": {"event_id": 1, "event_data": {"ProcessGuid": "g"}}},
        {"winlog.event_id": 1, "winlog.event_data.ProcessGuid": "g"},
        {"EventID": 1, "Channel": "x", "ProcessGuid": "g", "ProcessId": "1"},
        {"_source": {"winlog": {"event_id": 1, "event_data": {"ProcessGuid": "g"}}}},
    ],
)
def test_fields_are_found_in_every_dialect(record: dict[str, Any]) -> None:
    found = decode(json.dumps(record).encode())
    assert isinstance(found, Fields) and found.process_guid == "g"


def test_values_have_one_spelling() -> None:
    assert guid_of("{297BC33E-6103-5F2B-9F02-000000000400}") == guid_of("297bc33e-6103-5f2b-9f02-000000000400") != ""
    assert windows_path("\\REGISTRY\\MACHINE\\SYSTEM\\x") == "HKLM\\SYSTEM\\x"
    assert windows_path("\\??\\C:\\x") == "C:\\x"
    assert address_of("::ffff:10.0.0.1") == "10.0.0.1" and address_of("FE80::1%5") == "fe80::1" and not address_of("-")
    assert port_of("443") == port_of(443) == 443 and port_of("-") == -1
    assert hashes_of("SHA1=" + "A" * 40) == ("", "sha1:" + "a" * 40)
    assert path_of("x" * 9000) != path_of("x" * 9001) and path_of("a\0b") == "a"


@pytest.mark.parametrize("value", [True, 1.5, [], "x" * 70, "1.2.3", "999.1.1.1", b"1"])
def test_what_is_no_address_is_dropped(value: object) -> None:
    with pytest.raises(Dropped):
        address_of(value)


@pytest.mark.parametrize("value", [True, 65536, -2, "٣", "1e3", [], 1.0])
def test_what_is_no_port_is_dropped(value: object) -> None:
    with pytest.raises(Dropped):
        port_of(value)
