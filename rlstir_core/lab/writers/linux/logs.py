"""The logs of a Linux guest, exactly as its programs write them: audit.log, auth.log and the journal.

What happens in what order is decided elsewhere; here each event goes to those who note it. What does not belong here:
the form of a record or an entry (`audit.py`, `voices.py`, `journal.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlstir_core.lab.machine.events import (
    Cleared,
    Connected,
    Event,
    Exited,
    GuestProcess,
    Loaded,
    LoggedOff,
    LoggedOn,
    OnAccount,
    OnFile,
    OnProcess,
    OnService,
    OnTask,
    Queried,
    Started,
    Sudoed,
    Wrote,
)
from rlstir_core.lab.machine.guest import Boot, Guest
from rlstir_core.lab.writers.linux.admin import Admin
from rlstir_core.lab.writers.linux.audit import AuditLog
from rlstir_core.lab.writers.linux.journal import AUTH, AUTHPRIV, DAEMON, KERN, Journal
from rlstir_core.lab.writers.linux.logins import Logins
from rlstir_core.lab.writers.linux.scene import LinuxScene
from rlstir_core.lab.writers.linux.voices import Voices

_RESOLVER = "127.0.0.53"


def write(
    guest: Guest, boot: Boot, events: Sequence[Event], living: Sequence[GuestProcess], rng: np.random.Generator
) -> dict[str, bytes]:
    """`logs/audit.log`, `logs/auth.log` and `logs/journal.jsonl` of events that come in the order of time.

    `living` are the processes that lived when the recording began.
    """
    writer = _Writer(LinuxScene(guest, boot, events, living, rng))
    for event in events:
        writer.add(event)
    writer.logins.finish()
    until_ns = max(boot.end_ns, events[-1].t_ns) if events else boot.end_ns
    audit = writer.audit.finish(until_ns)
    journal, auth = writer.journal.finish(until_ns)
    return {"logs/audit.log": audit, "logs/auth.log": auth, "logs/journal.jsonl": journal}


class _Writer:
    """Hands each event to those who note it."""

    def __init__(self, scene: LinuxScene) -> None:
        self.audit, self.journal = AuditLog(scene), Journal(scene)
        voices = Voices(scene, self.audit, self.journal)
        self.logins, self.admin = Logins(voices), Admin(voices)

    def add(self, event: Event) -> None:
        """Notes one event; what Linux has no word for is not noted."""
        audit = self.audit
        match event:
            case Started():
                audit.started(event)
            case Exited():
                self.logins.ended(event.who, event.t_ns)
                self.admin.closed(event.who, event.t_ns)
                audit.exited(event)
            case OnFile():
                audit.on_file(event)
            case Connected():
                audit.connected(event)
            case Queried():
                audit.connect(event.t_ns, event.who, _RESOLVER, 53)
            case OnProcess():
                audit.on_process(event)
            case Loaded():
                audit.loaded(event)
            case Cleared():
                audit.cleared(event.t_ns, event.who, event.log)
            case _:
                self._add_message(event)
        audit.now(event.t_ns)

    def _add_message(self, event: Event) -> None:
        match event:
            case LoggedOn() if event.who.name == "su":
                self.admin.su(event)
            case LoggedOn():
                self.logins.on(event)
            case LoggedOff() if event.session.kind == "cron":
                self.admin.closed(event.who, event.t_ns)
            case LoggedOff():
                self.logins.off(event)
            case Sudoed():
                self.admin.sudoed(event)
            case OnService():
                self.admin.service(event)
            case OnAccount():
                self.admin.account(event)
            case OnTask():
                self.admin.task(event)
            case Wrote():
                self._message(event)

    def _message(self, event: Wrote) -> None:
        who, name = event.who, event.identifier or event.who.name
        if name == "kernel":
            self.journal.say(event.t_ns, None, event.text, facility=KERN, priority=event.priority, transport="kernel")
            return
        if event.auth:
            facility, transport = AUTH if name == "sshd" else AUTHPRIV, "syslog"
        elif who.pid == 1:
            facility, transport = DAEMON, "journal"
        else:
            facility, transport = DAEMON, "stdout" if event.unit else "syslog"
        self.journal.say(
            event.t_ns,
            who,
            event.text,
            identifier="systemd" if who.pid == 1 and not event.identifier else name,
            facility=facility,
            priority=event.priority,
            transport=transport,
            unit=event.unit,
        )
