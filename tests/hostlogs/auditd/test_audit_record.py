"""Lines of audit logs: quoting, hex, enriched fields, interpreted output, and text that imitates records."""

from __future__ import annotations

import random
import re

import pytest

from rlstir_core.hostlogs.auditd import parser as audit
from rlstir_core.hostlogs.auditd.pairs import PairReader
from rlstir_core.hostlogs.auditd.record import AuditRecord, parse
from rlstir_core.hostlogs.auditd.sockaddr import from_bytes, from_text
from rlstir_core.hostlogs.schema import LogContext

HEAD = "type=SYSCALL msg=audit(1700000000.123:42): "
CALL = "arch=c000003e syscall=59 success=yes exit=0 a0=1 items=2 ppid=1 pid=2 uid=0 tty=(none) "


def of(line: str | bytes, reader: PairReader | None = None) -> AuditRecord:
    record = parse(line if isinstance(line, bytes) else line.encode(), reader or PairReader())
    assert isinstance(record, AuditRecord), record
    return record


def test_a_record_has_its_type_time_serial_and_node() -> None:
    record = of('node=web-1.lab type=CWD msg=audit(1700000000.123:42): cwd="/tmp"')
    assert (record.node, record.type, record.ts_ns, record.serial) == ("web-1.lab", "CWD", 1700000000123 * 10**6, 42)
    assert record.fields == {"cwd": "/tmp"}


@pytest.mark.parametrize(
    "line",
    [
        "", "hello", "type=CWD", "type=UNKNOWN[1329] msg=?", "type=CWD msg=audit(1700000000.123): cwd=1",
        "type=CWD msg=audit(99999999999999999.1:1): x=1", "type=CWD msg=audit(1.1:99999999999): x=1",
        "type=CWD msg=audit(9999999999.000:1): x=1", "type=CWD msg=audit(13/12/2023 10:06:52.764) : cwd=/",
        "xtype=CWD msg=audit(1700000000.123:42): cwd=\"/\"", 'comm="type=CWD msg=audit(1700000000.123:42): "',
    ],
)  # fmt: skip
def test_a_line_without_type_time_and_serial_is_no_record(line: str) -> None:
    assert isinstance(parse(line.encode(), PairReader()), str)


def test_hex_is_decoded_only_where_the_kernel_writes_it() -> None:
    record = of(HEAD + CALL + "comm=6C7320AB exe=2F746D702F6120622063 key=6101620A")
    assert record.fields["exe"] == "/tmp/a b c"
    assert record.fields["comm"] == "ls \\xab"
    assert record.encoded == {"comm": "6C7320AB"}  # nothing is lost
    assert record.fields["a0"] == "1"
    assert record.fields["exit"] == "0"
    assert of(HEAD + "a0=6162").fields == {"a0": "6162"}
    assert of("type=EXECVE msg=audit(1.000:2): argc=1 a0=6162").fields == {"argc": "1", "a0": "ab"}
    assert of("type=PROCTITLE msg=audit(1.000:2): proctitle=6C73002D6C").fields == {"proctitle": "ls\0-l"}


def test_quoted_or_hex_text_that_imitates_a_record_stays_a_value() -> None:
    evil = 'x\n type=SYSCALL msg=audit(1.0:1): uid=0 exe="/bin/false"'
    record = of(HEAD + CALL + f'comm={evil.encode().hex().upper()} exe="/bin/true" key=(null)')
    assert record.fields["comm"] == evil
    assert record.fields["exe"] == "/bin/true"
    assert record.serial == 42
    quoted = of(HEAD + CALL + 'comm="type=SYSCALL msg=audit(1.0:1): uid=7" exe="/bin/true"')
    assert (quoted.fields["uid"], quoted.serial) == ("0", 42)


def test_a_programs_message_cannot_replace_what_the_kernel_says() -> None:
    inner = "op=login uid=0 auid=0 pid=1 acct=\"a' uid=0 '\" res=success"
    record = of(f"type=USER_LOGIN msg=audit(1700000000.123:42): pid=77 uid=1000 auid=1000 ses=3 msg='{inner}'")
    assert (record.get("pid"), record.get("uid")) == ("77", "1000")
    assert record.message_fields["acct"] == "a' uid=0 '"
    assert record.message_fields["res"] == "success"
    assert not record.names


def test_a_separator_inside_a_programs_message_interprets_nothing() -> None:
    line = "type=USER_LOGIN msg=audit(1.000:2): pid=7 uid=1000 msg='op=x \x1dUID=\"root\"'"
    assert not of(line).names
    assert of(line + '\x1dUID="alice" AUID="unset"').names == {"UID": "alice", "AUID": "unset"}


def test_a_message_without_its_last_quote_is_read_to_the_end() -> None:
    record = of("type=SERVICE_START msg=audit(1.000:2): pid=1 uid=0 msg='unit=rsyslog res=success")
    assert record.message_fields == {"unit": "rsyslog", "res": "success"}


@pytest.mark.parametrize("separator", ["\x1d", ""])
@pytest.mark.parametrize("key", ['"ex"', "(null)"])
def test_enriched_fields_are_names_with_or_without_their_separator(separator: str, key: str) -> None:
    record = of(HEAD + CALL + f'key={key}{separator}ARCH=x86_64 SYSCALL=execve AUID="unset" UID="root"')
    assert record.names == {"ARCH": "x86_64", "SYSCALL": "execve", "AUID": "unset", "UID": "root"}
    assert record.fields["key"] == key.strip('"')


def test_an_enriched_address_is_one_name() -> None:
    record = of("type=SOCKADDR msg=audit(1.000:2): saddr=02000050\x1dSADDR={ saddr_fam=inet laddr=1.2.3.4 lport=80 }")
    assert record.fields == {"saddr": "02000050"}
    assert from_text(record.names["SADDR"]) == {"family": "inet", "addr": "1.2.3.4", "port": 80}


def test_a_key_twice_keeps_its_first_value_and_the_second() -> None:
    record = of("type=AVC msg=audit(1.000:2): pid=1 x=2 pid=3")
    assert record.fields == {"pid": "1", "x": "2"}
    assert record.repeated == [("pid", "3")]


def test_words_that_are_no_pairs_are_kept() -> None:
    record = of("type=DAEMON_END msg=audit(1481078697.892:7799): auditd normal halt, sending auid=? res=success")
    assert record.text == "auditd normal halt, sending"
    assert record.fields == {"auid": "?", "res": "success"}
    assert of("type=X msg=audit(1.000:2): a= b=1").fields == {"a": "", "b": "1"}


def test_a_line_that_is_not_utf8_keeps_its_bytes() -> None:
    raw = b'type=CWD msg=audit(1.000:2): cwd="/\xff\xfe"'
    record = of(raw)
    assert record.fields == {"cwd": "/\\xff\\xfe"}
    assert record.raw_hex == raw.hex()
    assert of('type=CWD msg=audit(1.000:2): cwd="/тест"').raw_hex == ""


def test_kernel_types_by_number_get_their_names() -> None:
    assert of('type=1400 audit(1524662933.080:61207): apparmor="DENIED"').type == "AVC"
    assert of("type=9999 msg=audit(1.000:2): a=1").type == "9999"


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("02/05/2023 10:06:52", 1675591612), ("02/05/23 10:06:52", 1675591612), ("2023-02-05 10:06:52", 1675591612),
        ("05.02.2023 10:06:52", 1675591612), ("25/02/2023 10:06:52", 1677319612),
    ],
)  # fmt: skip
def test_interpreted_dates_are_read_in_the_usual_orders(date: str, seconds: int) -> None:
    record = of(f"type=CWD msg=audit({date}.764:34395) : cwd=/home/a b ")
    assert record.ts_ns == seconds * 10**9 + 764 * 10**6
    assert record.fields == {"cwd": "/home/a b"}
    assert record.local


def test_interpreted_values_keep_their_blanks() -> None:
    head = "type=SYSCALL msg=audit(02/05/2023 10:06:52.764:34395) : "
    record = of(head + "arch=x86_64 syscall=open success=no exit=EACCES(Permission denied) a0=0x1 pid=7 uid=a user "
                "comm=my prog exe=/opt/my prog/x key=k")  # fmt: skip
    assert record.fields["exit"] == "EACCES(Permission denied)"
    assert (record.fields["uid"], record.fields["comm"], record.fields["exe"]) == (
        "a user",
        "my prog",
        "/opt/my prog/x",
    )


def test_an_interpreted_name_cannot_add_fields_of_the_kernel() -> None:
    head = "type=SYSCALL msg=audit(02/05/2023 10:06:52.764:34395) : "
    record = of(head + "syscall=open pid=7 uid=mallory comm=x pid=1 uid=root exe=/bin/x key=k")
    assert (record.fields["pid"], record.fields["uid"]) == ("7", "mallory")
    path = of(
        "type=PATH msg=audit(02/05/2023 10:06:52.764:3) : item=0 name=a inode=1 dev=2 inode=806 dev=08:01 mode=file"
    )
    assert path.fields == {"name": "a inode=1 dev=2", "item": "0", "inode": "806", "dev": "08:01", "mode": "file"}
    execve = of("type=EXECVE msg=audit(02/05/2023 10:06:52.764:3) : argc=2 a0=sh a1=-c x=1 a9=2 ")
    assert execve.fields == {"argc": "2", "a0": "sh", "a1": "-c x=1 a9=2"}


@pytest.mark.parametrize(
    ("saddr", "wanted"),
    [
        ("020000507F0000010000000000000000", {"family": "inet", "addr": "127.0.0.1", "port": 80}),
        ("0A001F90000000000000000000000000000000000000000100000000", {"family": "inet6", "addr": "::1", "port": 8080}),
        ("01002F746D702F78000000", {"family": "unix", "path": "/tmp/x"}),
        ("01000061627300", {"family": "unix", "path": "@abs"}),
        ("0100", {"family": "unix"}),
        ("100000007B00000000000000", {"family": "netlink", "port": 123}),
        ("11000003020000000100000000000000", {"family": "packet", "ifindex": 2}),
        ("28000000D2040000030000000000000000", {"family": "vsock", "port": 1234, "cid": 3}),
        ("0200", {"family": "inet"}), ("FFFF0000", {"family": "65535"}), ("0", {}), ("xyz", {}), ("", {}),
    ],
)  # fmt: skip
def test_socket_addresses_decode_whole_or_as_far_as_they_go(saddr: str, wanted: dict[str, object]) -> None:
    assert from_bytes(saddr) == wanted


def test_interpreted_addresses_say_the_same() -> None:
    assert from_text("inet host:127.0.0.1 serv:22") == {"family": "inet", "addr": "127.0.0.1", "port": 22}
    assert from_text("{ saddr_fam=inet6 laddr=::1 lport=22 }") == {"family": "inet6", "addr": "::1", "port": 22}
    assert from_text("local /run/a b") == {"family": "unix", "path": "/run/a b"}
    assert from_text("{ saddr_fam=local path=/run/x }") == {"family": "unix", "path": "/run/x"}
    assert from_text("unknown family(0)") == {"family": "unknown"}


def test_system_calls_are_named_by_their_architecture() -> None:
    def named(arch: str, number: str) -> tuple[str, str]:
        return audit.names_of(of(HEAD + f"arch={arch} syscall={number}"))

    assert named("c000003e", "59") == ("x86_64", "execve")
    assert named("40000003", "11") == ("i386", "execve")
    assert named("c00000b7", "221") == ("aarch64", "execve")
    assert named("c00000b7", "56") == ("aarch64", "openat")
    assert named("c000003e", "99999") == ("x86_64", "99999")
    assert named("deadbeef", "1") == ("deadbeef", "1")


def test_exits_are_errors_or_numbers() -> None:
    codes = ["0", "-13", "-13(Permission denied)", "-115", "-512", "-9999", "3", "-"]
    wanted = ["0", "EACCES", "EACCES", "EINPROGRESS", "ERESTARTSYS", "-9999", "3", "-"]
    assert [audit.exit_of(code) for code in codes] == wanted


def test_a_learnt_shape_reads_what_the_careful_way_reads() -> None:
    rng = random.Random(7)
    keys = ["a0", "comm", "exe", "key", "uid", "name", "items"]
    values = ["1", '"x"', "6162", "FF", "(null)", "", '"', '"a b"', '""', "x=y", '"a"b', "word word", "'q'", "\x01"]
    learnt = PairReader()
    order = [[*keys], keys[::-1], keys[:3]]
    for kind in ("SYSCALL", "EXECVE"):
        for names in order:
            plain = " ".join(f"{name}={rng.choice(values[:2])}" for name in names)
            for _ in range(40):
                learnt.read(kind, plain)
    assert learnt._n_shapes == 6
    n_odd = 0
    for _ in range(3000):
        names = rng.choice(order)
        body = " ".join(f"{name}={rng.choice(values)}" for name in names) + rng.choice(["", " ", " x", " a0=9"])
        kind = rng.choice(["SYSCALL", "EXECVE"])
        fast, slow = learnt.read(kind, body), PairReader().read(kind, body)
        assert fast[0] == slow[0], body
        odd = [(o.words, o.repeated, o.encoded) if o else ([], [], {}) for o in (fast[1], slow[1])]
        assert odd[0] == odd[1], body
        n_odd += odd[0] != ([], [], {})
    assert n_odd > 500


@pytest.mark.parametrize(
    "body",
    ["a", "=", 'x="', "x={ ", "a=1 ", "'", "\x1dSADDR={", "ARCH=", "msg='", " ", "a1[0]=41 ", "name=", " name=x",
     " inode=", "saddr=saddr_fam=1 a", "old ", '"', "\x1d", "comm=41 "],
)  # fmt: skip
@pytest.mark.parametrize("date", ["1700000000.123", "02/05/2023 10:06:52.764"])
def test_a_long_line_takes_time_in_proportion(body: str, date: str) -> None:
    context = LogContext(name="audit.log")
    for kind in ("SYSCALL", "EXECVE", "PATH", "USER_LOGIN", "SOCKADDR", "LOGIN", "AVC"):
        for front, back in (("", ""), ("item=0 ", "a" * 30_000), ("saddr=saddr_fam=x \x1d", "b" * 30_000)):
            line = f"type={kind} msg=audit({date}:1): {front}" + body * (30_000 // len(body)) + back + "\n"
            (row,) = audit.rows([line.encode()], context)
            assert row.parsed


def test_mutated_records_never_raise() -> None:
    rng = random.Random(3)
    base = (HEAD + CALL + 'comm="ls" exe="/bin/ls" key="k"\x1dUID="root"').encode()
    user = b"type=USER_LOGIN msg=audit(1.000:2): pid=7 uid=1000 msg='op=x acct=\"a\" (hostname=?, addr=?, res=success)'"
    for _ in range(3000):
        raw = bytearray(rng.choice([base, user]))
        for _ in range(rng.randint(1, 6)):
            raw[rng.randrange(len(raw))] = rng.choice(b"\x00\x1d='\" ()\xff\xc3type{}\n1")
        parse(bytes(raw), PairReader())


def test_tables_hold_what_everybody_knows() -> None:
    from rlstir_core.hostlogs.auditd.tables import ERRORS, FAMILIES, RECORD_TYPES, SYSCALLS

    assert all(re.fullmatch(r"\w+", name) for table in SYSCALLS.values() for name in table.values())
    assert (ERRORS[2], ERRORS[110], FAMILIES[17], RECORD_TYPES[1327]) == ("ENOENT", "ETIMEDOUT", "packet", "PROCTITLE")
    assert (SYSCALLS["x86_64"][435], SYSCALLS["i386"][102], SYSCALLS["x86_64"][257]) == (
        "clone3",
        "socketcall",
        "openat",
    )
