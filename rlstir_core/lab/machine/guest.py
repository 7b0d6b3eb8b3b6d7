"""The guest that logs are written on: names, addresses, users and logging habits, derived from the host's name.

What belongs to the host is the same in all its episodes; what an episode draws (uptime, serials) comes with
`Boot`. What does not belong here: processes and what they do (`machine.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlstir_core.lab.machine.events import Account
from rlstir_core.lab.signals import between, stream

Os = Literal["linux", "windows"]
_LINUX_NAMES = ("anna", "bela", "chen", "dmitri", "esra", "farid", "greta", "hugo", "ines", "jonas", "kofi", "lena")
_WINDOWS_NAMES = (
    "a.novak",
    "b.lang",
    "c.ito",
    "d.perez",
    "e.moser",
    "f.haas",
    "g.silva",
    "h.berg",
    "i.costa",
    "j.wolf",
)


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A host's guest system."""

    name: str  # as logs spell it
    os: Os
    ip: str
    gateway: str
    domain: str
    root: Account  # root, or NT AUTHORITY\\SYSTEM
    users: tuple[Account, ...]  # people; the first administers
    services: dict[str, Account]  # accounts of daemons, by name
    enriched: bool  # auditd: log_format = ENRICHED
    dialect: Literal["dump", "beat"]  # Windows: evtx_dump's JSON or winlogbeat's
    machine_guid: str  # Windows: begins every Sysmon GUID
    kernel: str


@dataclass(frozen=True, kw_only=True)
class Boot:
    """What one episode begins with."""

    start_ns: int  # of the recording
    end_ns: int
    boot_ns: int  # when the guest was booted
    boot_id: str
    audit_serial: int
    record_ids: tuple[int, int]  # Windows: the next EventRecordID of Sysmon and of the other channels
    journal_seq: int


def guest(name: str, os: Os) -> Guest:
    """The guest of a host."""
    rng = stream("guest", name)
    net = f"10.{int(rng.integers(10, 240))}.{int(rng.integers(1, 250))}"
    ip, gateway = f"{net}.{int(rng.integers(10, 200))}", f"{net}.1"
    machine = f"{int(rng.integers(2**32)):08X}-{int(rng.integers(2**16)):04X}"
    if os == "linux":
        names = [str(each) for each in rng.permutation(_LINUX_NAMES)[:4]]
        root = Account("root", 0, home="/root", service=True)
        users = tuple(Account(each, 1000 + at, home=f"/home/{each}") for at, each in enumerate(names))
        daemons = {"www-data": 33, "postgres": 114, "messagebus": 104, "syslog": 101, "backup": 34, "_chrony": 115}
        services = {
            each: Account(each, uid, home="/var/www" if uid == 33 else f"/var/lib/{each}", service=True)
            for each, uid in daemons.items()
        }
        domain = "lab.local"
    else:
        names = [str(each) for each in rng.permutation(_WINDOWS_NAMES)[:4]]
        base = "-".join(str(int(rng.integers(10**8, 2**31))) for _ in range(3))
        domain = "LAB"
        root = Account("SYSTEM", sid="S-1-5-18", domain="NT AUTHORITY", service=True)
        users = tuple(
            Account(each, sid=f"S-1-5-21-{base}-{1104 + at}", domain=domain, home=f"C:\\Users\\{each}")
            for at, each in enumerate(names)
        )
        services = {
            "LOCAL SERVICE": Account("LOCAL SERVICE", sid="S-1-5-19", domain="NT AUTHORITY", service=True),
            "NETWORK SERVICE": Account("NETWORK SERVICE", sid="S-1-5-20", domain="NT AUTHORITY", service=True),
            "IIS": Account("DefaultAppPool", sid="S-1-5-82-3006700770-424185619", domain="IIS APPPOOL", service=True),
        }
    return Guest(
        name=name.lower() if os == "linux" else f"{name.upper()}.lab.local",
        os=os,
        ip=ip,
        gateway=gateway,
        domain=domain,
        root=root,
        users=users,
        services=services,
        enriched=bool(rng.random() < 0.5),
        dialect="dump" if rng.random() < 0.5 else "beat",
        machine_guid=machine,
        kernel=f"6.{int(rng.integers(1, 12))}.0-{int(rng.integers(10, 40))}-generic",
    )


def boot(seed: int, episode: str, start_ns: int, duration_s: float) -> Boot:
    """What an episode begins with; it does not depend on the label."""
    rng = stream(seed, episode, "boot")
    return Boot(
        start_ns=start_ns,
        end_ns=start_ns + round(duration_s * 1e9),
        boot_ns=start_ns - round(between(rng, 3_600, 400_000) * 1e9),
        boot_id=rng.bytes(16).hex(),
        audit_serial=int(rng.integers(400, 900_000)),
        record_ids=(int(rng.integers(1_000, 4_000_000)), int(rng.integers(1_000, 9_000_000))),
        journal_seq=int(rng.integers(1_000, 900_000)),
    )
