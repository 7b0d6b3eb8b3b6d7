"""The simulated host: pids, sessions, ports, and a clock that only goes forward."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from rlstir_core.lab.machine.agenda import NS, Agenda, Script
from rlstir_core.lab.machine.events import Connected, Exited, LoggedOn, Queried, Started
from rlstir_core.lab.machine.guest import Guest, Os, boot, guest
from rlstir_core.lab.machine.machine import PID_MAX, Machine

START_NS = 1_772_438_400 * NS


def machine(os: Os = "linux", seed: int = 1) -> Machine:
    made = Machine(guest("h", os), boot(seed, "ep", START_NS, 60.0), np.random.default_rng(seed))
    made.now_ns = START_NS
    return made


def image(its_guest: Guest) -> str:
    return "/usr/bin/true" if its_guest.os == "linux" else "C:\\Windows\\System32\\where.exe"


@pytest.mark.parametrize("os", ["linux", "windows"])
def test_no_two_living_processes_share_a_pid_and_pids_come_back(os: Os) -> None:
    host = machine(os)
    init = host.start(None, image(host.guest), ("init",))
    pids: list[int] = []
    for turn in range(30_000 if os == "linux" else 6_000):
        host.now_ns += NS // 100
        made = host.start(init, image(host.guest), ("x",))
        assert host.living[made.pid] is made
        assert made.pid != init.pid
        pids.append(made.pid)
        if turn % 7:
            host.end(made)
    assert len(set(pids)) < len(pids)
    if os == "linux":
        assert max(pids) < PID_MAX
    else:
        assert all(pid % 4 == 0 for pid in pids)


def test_a_pid_rests_before_it_is_used_again_on_windows() -> None:
    host = machine("windows")
    init = host.start(None, image(host.guest), ("init",))
    ended: dict[int, int] = {}
    for _ in range(5_000):
        made = host.start(init, image(host.guest), ("x",))
        assert made.started_ns - ended.get(made.pid, 0) >= 2 * NS
        host.now_ns += NS // 200
        host.end(made)
        ended[made.pid] = made.ended_ns


def test_times_only_go_forward_and_no_two_events_share_one() -> None:
    host = machine()
    init = host.start(None, "/sbin/init", ("init",))
    for _ in range(300):
        made = host.start(init, "/usr/bin/true", ("true",))
        host.file(made, "read", "/etc/hosts", 10)
        host.connect(made, "198.18.0.1", 443, name="a.example")
        host.end(made)
    times = [event.t_ns for event in host.events]
    assert times == sorted(set(times))


def test_an_exit_is_told_once() -> None:
    host = machine()
    made = host.start(None, "/usr/bin/true", ("true",))
    host.end(made)
    host.end(made)
    assert [type(event) for event in host.events] == [Started, Exited]
    assert made.ended_ns == host.events[-1].t_ns


def test_a_child_has_its_parents_account_session_and_folder_unless_told() -> None:
    host = machine()
    user = host.guest.users[1]
    session = host.log_on(host.start(None, "/usr/sbin/sshd", ("sshd",)), user, "publickey", src_ip="10.0.0.9")
    assert session is not None
    shell = host.start(None, "/usr/bin/bash", ("bash",), account=user, session=session, cwd="/home/x")
    child = host.start(shell, "/usr/bin/ls", ("ls",))
    assert (child.account, child.session, child.cwd) == (user, session, "/home/x")
    assert child.ppid == shell.pid


def test_a_name_is_looked_up_before_it_is_connected_to() -> None:
    host = machine()
    who = host.start(None, "/usr/bin/curl", ("curl",))
    host.connect(who, "198.18.4.4", 443, name="cdn.example")
    asked, made = host.events[-2:]
    assert isinstance(asked, Queried) and isinstance(made, Connected)
    assert (asked.name, asked.answer) == (made.name, made.dst_ip)
    assert made.src_ip == host.guest.ip


def test_a_failed_login_has_no_session() -> None:
    host = machine()
    who = host.start(None, "/usr/sbin/sshd", ("sshd",))
    assert host.log_on(who, host.guest.users[0], "password", ok=False, src_ip="10.0.0.9") is None
    event = host.events[-1]
    assert isinstance(event, LoggedOn) and event.session is None and event.src_port


def test_a_guest_is_the_same_in_every_episode_and_another_on_another_host() -> None:
    assert guest("h", "linux") == guest("h", "linux")
    assert guest("h", "linux").ip != guest("g", "linux").ip
    assert boot(1, "ep", START_NS, 60.0) != boot(1, "ep-2", START_NS, 60.0)


def test_scripts_wake_in_the_order_of_time_and_those_of_one_time_in_that_of_their_coming() -> None:
    host = machine()
    agenda, told = Agenda(host), []

    def acts(name: str, *waits: float) -> Iterator[float]:
        for wait in waits:
            told.append((name, round((host.now_ns - START_NS) / NS, 3)))
            yield wait
        told.append((name, round((host.now_ns - START_NS) / NS, 3)))

    agenda.add(START_NS + NS, Script(acts("b", 2.0)))
    agenda.add(START_NS, Script(acts("a", 1.0, 5.0)))
    agenda.add(START_NS + NS, Script(acts("c")))
    agenda.run(START_NS + 5 * NS)
    assert told == [("a", 0.0), ("b", 1.0), ("c", 1.0), ("a", 1.0), ("b", 3.0)]


def test_the_step_of_a_script_is_on_its_events_and_on_no_others() -> None:
    host = machine()
    agenda = Agenda(host)

    def acts() -> Iterator[float]:
        host.start(None, "/usr/bin/true", ("true",))
        yield 1.0
        host.start(None, "/usr/bin/true", ("true",))

    agenda.add(START_NS, Script(acts(), step=4))
    agenda.add(START_NS + NS // 2, Script(acts()))
    agenda.run(START_NS + 9 * NS)
    assert [event.step for event in host.events] == [4, -1, 4, -1]
