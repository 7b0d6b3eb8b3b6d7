"""A hand-made day on a Linux guest, of several hundred events, for the tests of its logs.

What does not belong here: any expectation of how a log says it.
"""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.guest import Boot, Guest, guest
from rlstir_core.lab.writers.linux import logs as linux_logs

US, MS, S = 1_000, 1_000_000, 1_000_000_000
START_NS = 1_772_438_401_000_000_000  # Mar  2 2026 08:00:01 UTC


class Story:
    """Makes events by making things happen; pids are few, so that they are reused."""

    def __init__(self, guest: Guest, seed: int = 1, step: int = -1) -> None:
        self.guest, self.random, self.step = guest, random.Random(seed), step
        self.now = START_NS
        self.events: list[ev.Event] = []
        self.service = ev.Session(4294967295, guest.root, kind="service")
        self._free = list(range(2000, 2060))
        self._n_sessions = 20
        root = guest.root
        self.init = self._living(1, None, "/usr/lib/systemd/systemd", ("/sbin/init",), root)
        self.sshd = self._living(801, self.init, "/usr/sbin/sshd", ("sshd: /usr/sbin/sshd -D [listener]",), root)
        self.cron = self._living(645, self.init, "/usr/sbin/cron", ("/usr/sbin/cron", "-f"), root)
        self.logind = self._living(650, self.init, "/usr/lib/systemd/systemd-logind", ("systemd-logind",), root)
        self.login = self._living(902, self.init, "/usr/bin/login", ("/bin/login", "-p", "--"), root)
        self.nginx = self._living(
            930, self.init, "/usr/sbin/nginx", ("nginx: worker process",), guest.services["www-data"]
        )
        self.living = [self.init, self.sshd, self.cron, self.logind, self.login, self.nginx]

    def _living(self, pid: int, parent: Any, exe: str, argv: tuple[str, ...], account: ev.Account) -> ev.GuestProcess:
        return ev.GuestProcess(pid, parent, exe, argv, account, self.service, "/", START_NS - 5000 * S)

    def note(self, kind: type[ev.Event], who: ev.GuestProcess, **more: Any) -> None:
        """One event, a little after the one before."""
        self.now += self.random.randrange(30 * US, 40 * MS)
        self.events.append(kind(t_ns=self.now, who=who, step=self.step, **more))

    def start(self, parent: ev.GuestProcess, exe: str, *argv: str, **more: Any) -> ev.GuestProcess:
        """A process; what is not said it has from its parent."""
        pid = self._free.pop(0)
        facts = {"account": parent.account, "session": parent.session, "cwd": parent.cwd} | more
        who = ev.GuestProcess(pid, parent, exe, argv or (exe,), started_ns=0, **facts)
        self.note(ev.Started, who)
        who.started_ns = self.now
        return who

    def end(self, who: ev.GuestProcess, code: int = 0) -> None:
        """It exits, and its pid is free at once."""
        self.note(ev.Exited, who, code=code)
        who.ended_ns = self.now
        self._free.append(who.pid)

    def session(self, how: str = "publickey") -> tuple[ev.GuestProcess, ev.GuestProcess]:
        """Somebody comes by ssh: the sshd that serves him and his shell."""
        account = self.random.choice(self.guest.users)
        child = self.start(self.sshd, "/usr/sbin/sshd", "/usr/sbin/sshd", "-D", "-R")
        port = self.random.randrange(32768, 60999)
        self.note(
            ev.Connected, child, src_ip="203.0.113.9", src_port=port, dst_ip=self.guest.ip, dst_port=22, inbound=True
        )
        self._n_sessions += 1
        session = ev.Session(self._n_sessions, account, "pts3", "203.0.113.9", "ssh")
        self.note(ev.LoggedOn, child, account=account, how=how, src_ip="203.0.113.9", src_port=port, session=session)
        shell = self.start(child, "/usr/bin/bash", "-bash", account=account, session=session, cwd=account.home)
        return child, shell

    def leave(self, child: ev.GuestProcess, shell: ev.GuestProcess) -> None:
        """He goes."""
        self.end(shell)
        self.note(ev.LoggedOff, child, session=shell.session)
        self.end(child)

    def guess(self, name: str, times: int = 1, known: bool = False) -> None:
        """Somebody guesses passwords on one connection."""
        child = self.start(self.sshd, "/usr/sbin/sshd", "/usr/sbin/sshd", "-D", "-R")
        account = self.guest.users[0] if known else ev.Account(name, 0)
        for _ in range(times):
            self.now += 2 * S
            self.note(
                ev.LoggedOn,
                child,
                account=account,
                how="password",
                ok=False,
                known=known,
                src_ip="198.51.100.7",
                src_port=40022,
            )
        self.end(child, 255)

    def commands(self, shell: ev.GuestProcess) -> None:
        """What people do."""
        home = shell.cwd
        for argv in (
            ("/usr/bin/ls", "ls", "-la", f"{home}/a file"),
            ("/usr/bin/grep", "grep", "-r", 'say "hello"', "."),
            ("/usr/bin/echo", "echo", "naïve — 日本", "", "two\nlines\tand a tab"),
            ("/usr/bin/python3.12", "python3", "-c", "print('x')\n" * 4),
        ):
            self.end(self.start(shell, argv[0], *argv[1:]))
        vim = self.start(shell, "/usr/bin/vim.basic", "vim", "notes.txt")
        for op, path, more in (
            ("read", f"{home}/notes.txt", {}),
            ("create", f"{home}/.notes.txt.swp", {"n_bytes": 4096}),
            ("write", f"{home}/notes.txt", {"n_bytes": 900}),
            ("rename", f"{home}/.notes.txt.swp", {"to": f"{home}/.notes.txt~"}),
            ("delete", f"{home}/.notes.txt~", {}),
            ("create", f"{home}/docs/Übersicht 2026.md", {}),
            ("attributes", f"{home}/notes.txt", {"mode": "0640"}),
            ("attributes", f"{home}/notes.txt", {}),
            ("create", f"{home}/new folder/", {}),
            ("read", "/etc/shadow", {}),
            ("write", "/etc/passwd", {}),
            ("write", "/var/log/app.log", {}),
            ("create", "/tmp/x.sock", {}),
        ):
            self.note(ev.OnFile, vim, op=op, path=path, **more)
        self.end(vim)
        curl = self.start(shell, "/usr/bin/curl", "curl", "-sS", "https://example.org/?a=1&b=2")
        self.note(ev.Queried, curl, name="example.org", answer="192.0.2.8")
        self.connect(curl, "192.0.2.8", 443)
        self.end(curl)
        nc = self.start(shell, "/usr/bin/nc.openbsd", "nc", "192.0.2.9", "4444")
        self.connect(nc, "192.0.2.9", 4444, failed=True)
        self.connect(nc, "192.0.2.9", 4445, failed=True, duration_ns=30 * S)
        self.connect(nc, "2001:db8::5", 53, l4="udp")
        self.end(nc, 1)

    def connect(self, who: ev.GuestProcess, ip: str, port: int, **more: Any) -> None:
        """A connection outward."""
        self.note(ev.Connected, who, src_ip=self.guest.ip, src_port=40000, dst_ip=ip, dst_port=port, **more)

    def sudo(self, shell: ev.GuestProcess, ok: bool = True) -> None:
        """A command as root."""
        argv = ("sudo", "tail", "-n", "5", "/var/log/auth.log")
        sudo = self.start(shell, "/usr/bin/sudo", *argv)
        asker = shell.account
        command = "/usr/bin/tail -n 5 /var/log/auth.log"
        self.note(ev.Sudoed, sudo, account=asker, target=self.guest.root, command=command, ok=ok)
        if ok:
            tail = self.start(sudo, "/usr/bin/tail", *argv[1:], account=self.guest.root)
            self.note(ev.OnFile, tail, op="read", path="/var/log/auth.log")
            self.end(tail)
        self.end(sudo, int(not ok))

    def job(self) -> None:
        """cron runs a job."""
        child = self.start(self.cron, "/usr/sbin/cron", "/usr/sbin/CRON", "-f", account=self.guest.root)
        self._n_sessions += 1
        child.session = ev.Session(self._n_sessions, self.guest.root, kind="cron")
        command = "cd / && run-parts --report /etc/cron.hourly"
        self.note(ev.OnTask, child, what="ran", task="root", command=command, account=self.guest.root)
        shell = self.start(child, "/usr/bin/dash", "/bin/sh", "-c", command)
        parts = self.start(shell, "/usr/bin/run-parts", "run-parts", "--report", "/etc/cron.hourly")
        self.note(ev.OnFile, parts, op="read", path="/etc/cron.hourly/")
        self.end(parts)
        self.end(shell)
        self.end(child)

    def administration(self, shell: ev.GuestProcess) -> None:
        """Units, accounts, signals, a log that is emptied, a child that outlives its parent."""
        root = self.guest.root
        sudo = self.start(shell, "/usr/bin/sudo", "sudo", "-s")
        self.note(ev.Sudoed, sudo, account=shell.account, target=root, command="/bin/bash")
        bash = self.start(sudo, "/usr/bin/bash", "/bin/bash", account=root)
        new = ev.Account("mallory", 1077, home="/home/mallory")
        for tool, what, more in (
            ("useradd", "created", {}),
            ("usermod", "group", {"group": "sudo"}),
            ("passwd", "password", {}),
            ("userdel", "deleted", {}),
        ):
            made = self.start(bash, f"/usr/sbin/{tool}" if tool != "passwd" else "/usr/bin/passwd", tool, "mallory")
            self.note(ev.OnAccount, made, what=what, target=new, **more)
            self.end(made)
        systemctl = self.start(bash, "/usr/bin/systemctl", "systemctl", "daemon-reload")
        self.note(ev.OnService, systemctl, what="installed", service="updater", exe="/opt/updater")
        self.end(systemctl)
        self.now += 50 * MS
        for what in ("started", "failed", "stopped"):
            self.now += 50 * MS
            self.note(ev.OnService, self.init, what=what, service="updater", exe="/opt/updater", title="Update helper")
        daemon = self.start(self.init, "/opt/updater", "/opt/updater", "--daemon", account=root, session=self.service)
        for op in ("access", "trace", "signal", "thread"):
            self.note(ev.OnProcess, bash, op=op, target=daemon, signal=9)
        self.end(daemon, -9)
        parent = self.start(bash, "/usr/bin/bash", "bash", "-c", "sleep 100 &")
        orphan = self.start(parent, "/usr/bin/sleep", "sleep", "100")
        self.end(parent)
        self.note(ev.OnFile, orphan, op="read", path="/etc/localtime")
        self.end(orphan)
        self.note(ev.Loaded, bash, path="/usr/lib/libz.so.1")
        self.note(ev.Loaded, bash, path="/opt/rk-mod.ko", driver=True)
        self.note(ev.Cleared, bash, log="/var/log/auth.log")
        self.note(ev.Cleared, bash, log="journal")
        crontab = self.start(bash, "/usr/bin/crontab", "crontab", "-")
        self.note(ev.OnTask, crontab, what="changed", task="root", command="* * * * * /tmp/x")
        self.end(crontab)
        deep = bash
        chain = []
        for level in range(8):
            deep = self.start(deep, "/usr/bin/bash", "bash", f"/opt/level{level}.sh")
            chain.append(deep)
        for each in reversed(chain):
            self.end(each)
        self.end(bash)
        self.end(sudo)

    def talk(self) -> None:
        """What daemons say."""
        self.note(ev.Wrote, self.nginx, text='192.0.2.1 "GET /"', unit="nginx")
        self.note(ev.Wrote, self.sshd, text="Server listening on 0.0.0.0 port 22.", auth=True)
        self.note(ev.Wrote, self.init, text="Reached target timers.target - Timer Units.")
        self.note(ev.Wrote, self.nginx, text="two\nlines, “quoted” \x1b[1mbold\x1b[0m", priority=3)
        self.note(ev.Wrote, self.init, text="usb 1-1: new device", identifier="kernel", priority=5)

    def day(self) -> Story:
        """All of it, several times over."""
        for turn in range(6):
            child, shell = self.session("password" if turn % 2 else "publickey")
            self.commands(shell)
            self.sudo(shell)
            self.sudo(shell, ok=turn % 3 > 0)
            self.job()
            self.guess("oracle", 1 + turn % 3)
            self.guess("", 1 + turn % 2, known=True)
            self.connect(self.nginx, "10.0.0.5", 8080)
            self.talk()
            if turn % 2:
                self.administration(shell)
            self.leave(child, shell)
        user = self.guest.users[1]
        session = ev.Session(99, user, "tty1", kind="console")
        self.note(ev.LoggedOn, self.login, account=user, how="console", ok=False)
        self.note(ev.LoggedOn, self.login, account=user, how="console", session=session)
        shell = self.start(self.login, "/usr/bin/bash", "-bash", account=user, session=session, cwd=user.home)
        su = self.start(shell, "/usr/bin/su", "su", "-")
        self.note(ev.LoggedOn, su, account=self.guest.root, how="password", ok=False)
        self.note(ev.LoggedOn, su, account=self.guest.root, how="password")
        self.end(su)
        self.end(shell)
        self.note(ev.LoggedOff, self.login, session=session)
        return self

    def boot(self) -> Boot:
        """The recording."""
        return Boot(
            start_ns=START_NS - S,
            end_ns=self.now + S,
            boot_ns=START_NS - 86_400 * S,
            boot_id="0123456789abcdef0123456789abcdef",
            audit_serial=4711,
            record_ids=(1, 1),
            journal_seq=900,
        )


def guest_of(enriched: bool) -> Guest:
    """The guest of all stories."""
    return replace(guest("web-03", "linux"), enriched=enriched)


def write(story: Story, events: list[ev.Event] | None = None, seed: int = 7) -> dict[str, bytes]:
    """The logs of a story."""
    told = story.events if events is None else events
    return linux_logs.write(story.guest, story.boot(), told, story.living, np.random.default_rng(seed))


@functools.cache
def day(enriched: bool) -> tuple[Story, Guest, Boot, dict[str, bytes]]:
    """The whole day and its logs, made once."""
    story = Story(guest_of(enriched)).day()
    return story, story.guest, story.boot(), write(story)


def told(tell: Callable[[Story], object], enriched: bool = False) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """The lines of the audit log, those of auth.log, and the journal's entries, of a short story."""
    story = Story(guest_of(enriched))
    tell(story)
    logs = write(story)
    return (
        logs["logs/audit.log"].decode().split("\n")[:-1],
        logs["logs/auth.log"].decode().split("\n")[:-1],
        [json.loads(line) for line in logs["logs/journal.jsonl"].decode().split("\n")[:-1]],
    )


def serials(content: bytes) -> list[str]:
    """The stamps of the events of an audit log, each once."""
    found = re.findall(rb"^type=\S+ msg=audit\(([0-9.]+:[0-9]+)\)", content, re.MULTILINE)
    return list(dict.fromkeys(each.decode() for each in found))


def of(lines: list[str], kind: str) -> list[str]:
    """The records of one type."""
    return [line for line in lines if line.startswith(f"type={kind} ")]
