"""A made-up Windows host: some processes that lived before, and a varied stream of what happens on it.

What does not belong here: how it is logged, and what is expected of that (`test_windows.py`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.events import Account, GuestProcess, Session
from rlstir_core.lab.machine.guest import Boot, Guest
from rlstir_core.lab.machine.guest import boot as boot_of
from rlstir_core.lab.machine.guest import guest as guest_of
from rlstir_core.lab.signals import stream

START_NS = 1_717_000_000_123_456_789
SYSTEM32 = "C:\\Windows\\System32\\"
CHROME = "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe"


def guest_with(dialect: str) -> Guest:
    return dataclasses.replace(guest_of("ws-07", "windows"), dialect=dialect)


class Life:
    """A made-up host: some processes that lived before, and a varied stream of what happens."""

    def __init__(self, guest: Guest, boot: Boot, seed: int = 5) -> None:
        self.guest, self.boot = guest, boot
        self.rng = stream("windows life", seed)
        self.t_ns = boot.boot_ns
        self.events: list[ev.Event] = []
        self.alive: list[GuestProcess] = []
        self.freed: list[int] = []
        self.number = 0
        self.service = Session(0x10F35, guest.root, kind="service")
        self.console = Session(0x51C2A, guest.users[0], kind="console")
        system = self.start(None, "System", "", pid=4)
        wininit = self.start(system, f"{SYSTEM32}wininit.exe", "wininit.exe")
        self.services = self.start(wininit, f"{SYSTEM32}services.exe", f"{SYSTEM32}services.exe")
        self.lsass = self.start(wininit, f"{SYSTEM32}lsass.exe", f"{SYSTEM32}lsass.exe")
        for group in ("netsvcs -p -s Schedule", "LocalServiceNetworkRestricted -p -s EventLog", "DcomLaunch -p"):
            self.start(self.services, f"{SYSTEM32}svchost.exe", f"{SYSTEM32}svchost.exe -k {group}")
        self.start(self.services, "C:\\Windows\\Sysmon64.exe", "C:\\Windows\\Sysmon64.exe")
        self.winlogon = self.start(system, f"{SYSTEM32}winlogon.exe", "winlogon.exe")
        user, other = guest.users[:2]
        self.shell = self.start(self.winlogon, "C:\\Windows\\explorer.exe", "explorer.exe", user, self.console)
        self.start(self.services, f"{SYSTEM32}spoolsv.exe", f"{SYSTEM32}spoolsv.exe", other, self.service)
        self.living = list(self.alive)
        self.events = []
        self.t_ns = boot.start_ns

    def start(
        self,
        parent: GuestProcess | None,
        exe: str,
        command: str,
        account: Account | None = None,
        session: Session | None = None,
        pid: int = 0,
        build: str = "",
    ) -> GuestProcess:
        self.number += 1
        made = GuestProcess(
            pid=pid or self.new_pid(),
            parent=parent,
            exe=exe,
            argv=(command,),
            account=account or (parent.account if parent else self.guest.root),
            session=session or (parent.session if parent else self.service),
            cwd="C:\\Windows\\System32" if self.number % 2 else "C:\\Users\\",
            started_ns=self.tick(),
            build=build,
            number=self.number,
        )
        self.alive.append(made)
        self.events.append(ev.Started(t_ns=self.t_ns, who=made))
        return made

    def new_pid(self) -> int:
        """Mostly one that was used a moment ago."""
        taken = {each.pid for each in self.alive}
        while True:
            pid = self.freed.pop() if self.freed and self.rng.random() < 0.8 else 4 * int(self.rng.integers(200, 2500))
            if pid not in taken:
                return pid

    def tick(self, most_ns: int = 400_000) -> int:
        self.t_ns += int(self.rng.integers(25_000, most_ns))
        return self.t_ns

    def note(self, kind: Any, who: GuestProcess, **fields: Any) -> None:
        self.events.append(kind(t_ns=self.tick(), who=who, **fields))

    def end(self, who: GuestProcess) -> None:
        self.alive.remove(who)
        self.freed.append(who.pid)
        who.ended_ns = self.tick()
        self.events.append(ev.Exited(t_ns=self.t_ns, who=who, code=int(self.rng.integers(0, 2))))

    def go(self, rounds: int) -> Life:
        images = (
            "cmd.exe",
            "whoami.exe",
            "attrib.exe",
            "net.exe",
            "conhost.exe",
            "WindowsPowerShell\\v1.0\\powershell.exe",
        )
        for n in range(rounds):
            self.t_ns += int(self.rng.integers(1_000_000, 900_000_000))
            parent = self.alive[int(self.rng.integers(1, len(self.alive)))]
            name = images[n % len(images)]
            dropped = n % 7 == 3 and n % 12 > 0
            exe = f"C:\\Users\\Public\\{'ab'[n % 2]}.exe" if dropped else f"{SYSTEM32}{name}"
            exe = CHROME if n % 12 == 0 else exe
            who = self.start(parent, exe, f'"{exe}" /c "say {n % 3}" Größe %d', build=f"f00d{n % 2}" if dropped else "")
            self.act(who, n)
            if n % 4:
                self.end(who)
        return self

    def act(self, who: GuestProcess, n: int) -> None:
        user, home = self.guest.users[n % 4], self.guest.users[0].home
        path = f"{home}\\Documents\\file {n % 9}.docx"
        target = self.alive[int(self.rng.integers(0, len(self.alive)))]
        group = n % 6
        if group == 0:
            self.note(ev.OnFile, who, op="create", path=path)
            self.note(ev.OnFile, who, op="create", path=f"{home}\\Downloads\\setup{n}.exe")
            self.note(ev.OnFile, who, op="write", path=path, n_bytes=40)
            self.note(ev.OnFile, who, op="rename", path=path, to=f"{path}.locked")
            self.note(ev.OnFile, who, op="write", path=f"C:\\Users\\Public\\tool{n}.exe", build="abc")
        elif group == 1:
            self.note(ev.OnFile, who, op="read", path=path)
            self.note(ev.OnFile, who, op="attributes", path=path, mode="0755")
            self.note(ev.OnFile, who, op="delete", path=path)
            self.note(ev.RanScript, who, text=f"Get-Item 'x{n}' | % {{ \"$_\" }}" * (1 if n % 12 == 1 else 1200))
        elif group == 2:
            far = f"93.184.{n % 200}.34"
            self.note(ev.Queried, who, name=f"host{n}.Example.org", answer=far if n % 4 else "")
            fields = {"src_ip": self.guest.ip, "src_port": 50_000 + n, "dst_ip": far, "dst_port": 443}
            self.note(ev.Connected, who, **fields, name=f"host{n}.example.org")
            self.note(ev.Connected, who, **(fields | {"dst_port": 53, "l4": "udp"}))
            self.note(ev.Connected, who, **(fields | {"dst_port": 8080}), failed=True)
            self.note(
                ev.Connected, who, src_ip="10.1.1.9", src_port=40_000, dst_ip=self.guest.ip, dst_port=445, inbound=True
            )
        elif group == 3:
            key = f"HKU\\{user.sid}\\Software\\Microsoft\\Windows\\CurrentVersion\\Run\\n{n}"
            self.note(ev.OnRegistry, who, op="set", key=key, value="4" if n % 2 else "C:\\x.exe /q")
            self.note(ev.OnRegistry, who, op="delete", key=key)
            self.note(ev.OnRegistry, who, op="create", key=f"HKLM\\SOFTWARE\\K{n}")
            self.note(ev.OnPipe, who, op="create", name=f"\\\\.\\pipe\\msse-{n}")
            self.note(ev.OnPipe, who, op="connect", name="\\srvsvc")
        elif group == 4:
            self.note(ev.OnProcess, who, op="access", target=target)
            self.note(ev.OnProcess, who, op="thread", target=target)
            self.note(ev.OnProcess, who, op="signal", target=target)
            self.note(ev.OnProcess, who, op="trace", target=target)
            self.note(ev.Loaded, who, path=f"{SYSTEM32}amsi.dll")
            self.note(ev.Loaded, who, path="C:\\Users\\Public\\evil.dll", signed=False, build="bad")
            self.note(ev.Loaded, self.alive[0], path=f"{SYSTEM32}drivers\\rt{n}.sys", driver=True)
        else:
            self.administer(who, user, n)

    def administer(self, who: GuestProcess, user: Account, n: int) -> None:
        how = ("network", "rdp", "console", "service")[n // 6 % 4]
        ip = "10.1.1.20" if how in {"network", "rdp"} else ""
        session = Session(0x200000 + n, user, src_ip=ip, kind=how)
        logon = {"account": user, "how": how, "src_ip": ip, "src_port": 51_000 if ip else 0}
        self.note(ev.LoggedOn, self.lsass, **logon, session=session)
        self.note(ev.LoggedOn, self.lsass, **logon, ok=False, known=n % 4 == 1)
        self.note(ev.LoggedOff, self.lsass, session=session)
        for what in ("installed", "started", "stopped", "failed"):
            exe = f"C:\\svc{n}.exe" if what == "installed" else ""
            self.note(ev.OnService, self.services, what=what, service=f"svc{n}", exe=exe, title=f"A Service {n}")
        for what in ("created", "changed", "ran", "deleted"):
            self.note(ev.OnTask, who, what=what, task=f"\\Up\\t{n}", command='"C:\\a b.exe" /x <1>', account=user)
        for what in ("created", "group", "password", "deleted"):
            target = Account(f"tmp{n}", sid="S-1-5-21-1-2-3-2001", domain=self.guest.domain)
            self.note(ev.OnAccount, who, what=what, target=target, group="Administrators" if what == "group" else "")
        self.note(ev.Cleared, who, log="Security" if n % 2 else "System")
        self.note(ev.Cleared, who, log="Application")
        provider = "Microsoft-Windows-Windows Defender"
        fields = {"Threat Name": f"T{n}", "Path": 'C:\\"q"\\%s'}
        self.note(ev.Wrote, who, provider=provider, channel=f"{provider}/Operational", event_id=1116, fields=fields)
        self.note(ev.Wrote, who, text="Hello.", provider="MsiInstaller", channel="Application", event_id=1040)


def life(dialect: str, rounds: int = 110, seed: int = 5) -> Life:
    guest = guest_with(dialect)
    return Life(guest, boot_of(3, "ep-1", START_NS, 120.0), seed).go(rounds)
