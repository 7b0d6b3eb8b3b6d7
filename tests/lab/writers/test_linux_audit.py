"""Records of a simulated guest's audit log are those that Linux and auditd write."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import linux_story
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlstir_core.hostlogs.auditd import parser as audit
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.writers.linux.numbers import NUMBERS, exec_records

of, serials, told = linux_story.of, linux_story.serials, linux_story.told
S = 1_000_000_000
REAL = Path(__file__).parents[4] / "shared/real/linux_audit_golibaudit"


@pytest.fixture(params=[False, True], ids=["raw", "enriched"])
def day(request: pytest.FixtureRequest) -> Any:
    """A day's story, its guest, its boot, and its logs."""
    return linux_story.day(request.param)


# Audit records


def test_serials_count_up_by_one_and_time_never_falls(day: Any) -> None:
    _, _, boot, logs = day
    stamps = [each.split(":") for each in serials(logs["logs/audit.log"])]
    assert [int(serial) for _, serial in stamps] == list(range(boot.audit_serial, boot.audit_serial + len(stamps)))
    times = [float(at) for at, _ in stamps]
    assert times == sorted(times)


def test_a_start_is_a_fork_by_the_parent_and_then_an_execution_by_the_child() -> None:
    def tell(story: Any) -> None:
        story.shell = story.start(story.init, "/usr/bin/bash", "bash", "-l")
        story.start(story.shell, "/usr/bin/id", "id", "-u")

    calls = of(told(tell)[0], "SYSCALL")
    assert [re.findall(r" syscall=(\d+) ", line)[0] for line in calls] == ["56", "59", "56", "59"]
    assert " exit=2001 " in calls[2] and " pid=2000 " in calls[2] and " a0=1200011 " in calls[2]
    assert " ppid=2000 pid=2001 " in calls[3] and ' comm="id" exe="/usr/bin/id" ' in calls[3]
    assert " key=(null)" in calls[2] and ' key="exec"' in calls[3]
    at = [float(re.findall(r"audit\(([0-9.]+):", line)[0]) for line in calls]
    assert 0 <= at[3] - at[2] <= 0.002


@pytest.mark.parametrize(
    ("arg", "written_arg"),
    [
        ("plain", '"plain"'),
        ("two words", "74776F20776F726473"),
        ('a"b', "612262"),
        ("ü", "C3BC"),
        ("line\nbreak", "6C696E650A627265616B"),
        ("", '""'),
        ("it's", '"it\'s"'),
        ("\x7f", "7F"),
    ],
)
def test_arguments_are_hex_where_the_kernel_would_write_hex(arg: str, written_arg: str) -> None:
    assert exec_records(("x", arg)) == f'type=EXECVE msg=audit(\0): argc=2 a0="x" a1={written_arg}\n'


@pytest.mark.parametrize(
    "argv",
    [
        ("x", "y" * 20_000, "z"),
        ("x", "ü b" * 9_000, "z"),
        ("f", *(f"file number {n}" for n in range(900))),
        ("f", *(f"file{n}" for n in range(3_000))),
    ],
    ids=["long", "long hex", "many hex", "many"],
)
def test_long_arguments_go_on_in_further_records(argv: tuple[str, ...]) -> None:
    text = exec_records(argv)
    assert text.count("\n") > 1 and max(map(len, text.split("\n"))) < 7_700
    head = 'type=SYSCALL msg=audit(\0): arch=c000003e syscall=59 success=yes exit=0 pid=3 exe="/x"\n'
    (row,) = audit.rows([(head + text).replace("\0", "1700000000.123:5").encode()], LogContext())
    assert json.loads(row.fields_json)["args"] == list(argv)


def test_the_title_holds_the_arguments_with_nuls_and_at_most_128_bytes() -> None:
    lines = told(lambda story: story.start(story.init, "/usr/bin/echo", "echo", "a b", "c" * 200))[0]
    title = of(lines, "PROCTITLE")[-1].partition("proctitle=")[2]
    assert bytes.fromhex(title) == b"echo\0a b\0" + b"c" * 119


def test_an_exit_has_no_result_and_a_signal_makes_no_call() -> None:
    def tell(story: Any) -> None:
        story.end(story.start(story.init, "/usr/bin/false", "false"), 1)
        story.end(story.start(story.init, "/usr/bin/sleep", "sleep", "9"), -9)

    exits = [line for line in of(told(tell)[0], "SYSCALL") if " syscall=231 " in line]
    assert len(exits) == 1 and " a0=1 " in exits[0] and "success=" not in exits[0] and "exit=" not in exits[0]


@pytest.mark.parametrize(
    ("op", "path", "more", "call", "flags", "types"),
    [
        ("read", "/etc/hosts", {}, 257, "a2=80000", ["NORMAL"]),
        ("write", "/srv/x", {}, 257, "a2=241", ["PARENT", "NORMAL"]),
        ("write", "/var/log/x.log", {}, 257, "a2=441", ["PARENT", "NORMAL"]),
        ("create", "/srv/x", {}, 257, "a2=241", ["PARENT", "CREATE"]),
        ("create", "/tmp/x", {}, 257, "a2=c2", ["PARENT", "CREATE"]),
        ("create", "/srv/d/", {}, 83, "a1=1ff", ["PARENT", "CREATE"]),
        ("delete", "/srv/x", {}, 87, "a1=0", ["PARENT", "DELETE"]),
        ("rename", "/srv/x", {"to": "/opt/y"}, 82, "a2=0", ["PARENT", "PARENT", "DELETE", "CREATE"]),
        ("attributes", "/srv/x", {"mode": "0755"}, 268, "a2=1ed", ["NORMAL"]),
    ],
)
def test_a_file_operation_is_its_system_call(
    op: str, path: str, more: dict[str, str], call: int, flags: str, types: list[str]
) -> None:
    lines = told(lambda story: story.note(ev.OnFile, story.nginx, op=op, path=path, **more))[0]
    (record,) = of(lines, "SYSCALL")
    assert f" syscall={call} " in record and f" {flags} " in record and f" items={len(types)} " in record
    assert [re.findall(r"item=(\d) .* nametype=(\w+)", line)[0] for line in of(lines, "PATH")] == [
        (str(at), kind) for at, kind in enumerate(types)
    ]
    assert [line.split(" ")[0] for line in lines][-1] == "type=PROCTITLE"


def test_a_renamed_file_keeps_its_inode_and_new_modes_show() -> None:
    def tell(story: Any) -> None:
        for op, path, more in (
            ("create", "/srv/a", {}),
            ("attributes", "/srv/a", {"mode": "0700"}),
            ("rename", "/srv/a", {"to": "/srv/b"}),
            ("read", "/srv/b", {}),
        ):
            story.note(ev.OnFile, story.nginx, op=op, path=path, **more)

    paths = [line for line in of(told(tell)[0], "PATH") if "nametype=PARENT" not in line]
    assert len({re.findall(r"inode=(\d+)", line)[0] for line in paths}) == 1
    assert " mode=0100644 ouid=33 " in paths[0] and " mode=0100700 ouid=33 " in paths[-1]


def test_paths_at_a_terminal_are_relative_and_read_back_whole() -> None:
    def tell(story: Any) -> None:
        _, shell = story.session()
        vim = story.start(shell, "/usr/bin/vim.basic", "vim", "notes")
        story.note(ev.OnFile, vim, op="create", path=f"{shell.cwd}/my notes")
        story.home = shell.cwd

    story = linux_story.Story(linux_story.guest_of(False))
    tell(story)
    logs = linux_story.write(story)
    lines = logs["logs/audit.log"].decode().splitlines()
    parent, made = of(lines, "PATH")[-2:]
    assert f'name="{story.home}" ' in parent and f"name={b'my notes'.hex().upper()} " in made
    row = list(audit.rows([logs["logs/audit.log"]], LogContext()))[-1]
    assert json.loads(row.fields_json)["paths"][1]["path"] == f"{story.home}/my notes"


@pytest.mark.parametrize(
    ("exe", "more", "code"),
    [
        ("/usr/bin/wget", {}, "success=yes exit=0"),
        ("/usr/bin/curl", {}, "success=no exit=-115"),
        ("/usr/bin/wget", {"failed": True}, "success=no exit=-111"),
        ("/usr/bin/wget", {"failed": True, "duration_ns": 60 * S}, "success=no exit=-110"),
        ("/usr/bin/wget", {"l4": "udp"}, "success=yes exit=0"),
    ],
)
def test_a_connection_returns_what_the_kernel_returns(exe: str, more: dict[str, Any], code: str) -> None:
    lines = told(lambda story: story.connect(story.start(story.init, exe), "192.0.2.8", 443, **more))[0]
    assert f" syscall=42 {code} " in of(lines, "SYSCALL")[-1]
    assert of(lines, "SOCKADDR")[0].endswith("saddr=020001BBC00002080000000000000000")


def test_enriched_records_name_users_calls_and_addresses() -> None:
    def tell(story: Any) -> None:
        _, shell = story.session()
        story.connect(shell, "2001:db8::5", 53)
        story.user = shell.account.name

    raw, rich = told(tell)[0], told(tell, enriched=True)[0]
    assert [line.partition("\x1d")[0] for line in rich] == raw and not any("\x1d" in line for line in raw)
    call, address = of(rich, "SYSCALL")[-1], of(rich, "SOCKADDR")[-1]
    assert re.search(r'\x1dARCH=x86_64 SYSCALL=connect AUID="(\w+)" UID="\1" GID="\1" EUID="\1"', call)
    assert address.endswith("\x1dSADDR={ saddr_fam=inet6 laddr=2001:db8::5 lport=53 }")
    assert re.search(r'\x1dUID="root" OLD-AUID="unset" AUID="\w+"$', of(rich, "LOGIN")[0])


def test_daemons_have_no_login_and_a_session_has_its_own() -> None:
    def tell(story: Any) -> None:
        story.note(ev.OnFile, story.nginx, op="read", path="/etc/hosts")
        _, shell = story.session()
        story.note(ev.OnFile, shell, op="read", path="/etc/hosts")

    calls = [line for line in of(told(tell)[0], "SYSCALL") if " syscall=257 " in line]
    assert " auid=4294967295 uid=33 " in calls[0] and " tty=(none) ses=4294967295 " in calls[0]
    assert re.search(r" auid=(100\d) uid=\1 gid=\1 .* tty=pts3 ses=21 ", calls[1])


def test_a_child_that_outlives_its_parent_belongs_to_init() -> None:
    def tell(story: Any) -> None:
        parent = story.start(story.init, "/usr/bin/bash", "bash")
        child = story.start(parent, "/usr/bin/sleep", "sleep", "9")
        story.note(ev.OnFile, child, op="read", path="/etc/hosts")
        story.end(parent)
        story.note(ev.OnFile, child, op="read", path="/etc/hosts")

    calls = [line for line in of(told(tell)[0], "SYSCALL") if " syscall=257 " in line]
    assert " ppid=2000 " in calls[0] and " ppid=1 " in calls[1]


def test_the_key_of_a_record_follows_from_what_is_done_to_what() -> None:
    def tell(story: Any) -> None:
        for op, path in (("read", "/etc/shadow"), ("write", "/etc/shadow"), ("read", "/srv/a"), ("delete", "/srv/a")):
            story.note(ev.OnFile, story.nginx, op=op, path=path)

    keys = [line.rpartition("key=")[2] for line in of(told(tell)[0], "SYSCALL")]
    assert keys == ['"identity"', '"identity"', '"files"', '"delete"']


def test_system_calls_have_the_numbers_of_x86_64() -> None:
    known = {"write": 1, "connect": 42, "clone": 56, "vfork": 58, "execve": 59, "kill": 62, "rename": 82, "unlink": 87}
    known |= {"ptrace": 101, "exit_group": 231, "openat": 257, "unlinkat": 263, "fchmodat": 268, "accept4": 288}
    known |= {"process_vm_readv": 310, "finit_module": 313, "renameat2": 316, "recvfrom": 45, "utimensat": 280}
    assert known.items() <= NUMBERS.items()


@pytest.mark.skipif(not REAL.exists(), reason="../shared/real/linux_audit_golibaudit is not there")
def test_fields_stand_in_the_order_of_real_records(day: Any) -> None:
    real = "\n".join(
        path.read_text(errors="replace") for path in sorted(REAL.rglob("*")) if path.suffix in (".log", ".yaml")
    )
    known = set(_shapes(real))
    ours = _shapes(day[3]["logs/audit.log"].decode())
    alike = [shape for shape in ours if shape in known]
    # `subj` and `cap_frootid` came later than most of those logs, `grantors` and `exe` are not in all
    for kind in ("SYSCALL", "CWD", "EXECVE", "PROCTITLE", "SOCKADDR", "ADD_USER", "ADD_GROUP", "SERVICE_START"):
        assert any(shape[0] == kind for shape in alike), kind
    for kind in ("CRED_ACQ", "CRED_DISP", "CRED_REFR", "USER_ACCT", "USER_START", "USER_LOGIN", "USER_MGMT"):
        assert any(shape[0] == kind for shape in alike), kind


def _shapes(text: str) -> Counter[tuple[str, ...]]:
    """(type, key, key …) of the records in a text."""
    found: Counter[tuple[str, ...]] = Counter()
    for kind, body in re.findall(r"type=(\S+) msg=audit\(\d+\.\d+:\d+\): ?([^\n\x1d]*)", text):
        keys = re.findall(r"(?:^|[\s'])([\w-]+)=(?=\S)", body)
        found[kind, *(keys[:1] if kind == "EXECVE" else keys)] += 1
    return found


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=6))
def test_any_arguments_come_back(more: list[str]) -> None:
    argv = ("echo", *more)
    story = linux_story.Story(linux_story.guest_of(True))
    story.start(story.init, "/usr/bin/echo", *argv)
    rows = list(audit.rows([linux_story.write(story)["logs/audit.log"]], LogContext()))
    assert [json.loads(row.fields_json).get("args") for row in rows] == [None, list(argv)]
    assert rows[1].parsed and rows[1].exe == "/usr/bin/echo"


def test_programs_and_folders_with_odd_names_are_hex() -> None:
    def tell(story: Any) -> None:
        who = story.start(story.init, "/tmp/a b/évil\n", "x", cwd="/tmp/a b")
        story.note(ev.OnFile, who, op="write", path='/tmp/a b/"q"')

    lines = told(tell)[0]
    call = of(lines, "SYSCALL")[-1]
    exe = "/tmp/a b/évil\n".encode().hex().upper()
    assert f" comm={exe[18:]} exe={exe} subj" in call
    assert of(lines, "CWD")[-1].endswith(f"cwd={b'/tmp/a b'.hex().upper()}")
