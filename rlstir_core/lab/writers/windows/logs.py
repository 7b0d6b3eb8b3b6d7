"""A Windows host's events as one JSON-lines export of its Sysmon, Security, System and other channels.

What does not belong here: the fields of events (`sysmon.py`, `security.py`, `system.py`) and what happens on a
host (`machine/`). No writer reads an event's `step`: that is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from rlstir_core.lab.machine import events as ev
from rlstir_core.lab.machine.guest import Boot, Guest
from rlstir_core.lab.writers.windows import security, sysmon, system
from rlstir_core.lab.writers.windows.desk import Desk

MEMBER: Final = "logs/sysmon.jsonl"
_PROGRAMS = (".exe", ".dll", ".sys", ".scr", ".ps1", ".bat", ".vbs", ".js", ".hta")


def write(
    guest: Guest,
    boot: Boot,
    events: Sequence[ev.Event],
    living: Sequence[ev.GuestProcess],
    rng: np.random.Generator,
) -> dict[str, bytes]:
    """The member `logs/sysmon.jsonl` for events in the order of time.

    `living` are the processes that lived when the recording began. Its records stand in the order of time; each channel
    counts its own, from `boot.record_ids`.
    """
    desk = Desk(guest, boot, events, living, rng)
    files = _Files(desk)
    last = len(events) - 1
    for at, event in enumerate(events):
        desk.gap_ns = (events[at + 1].t_ns if at < last else boot.end_ns) - event.t_ns
        kind = type(event)
        if kind is ev.OnFile:
            files.on_file(event)  # type: ignore[arg-type]
        elif kind is ev.OnRegistry:
            files.on_registry(event)  # type: ignore[arg-type]
        else:
            for handler in _HANDLERS.get(kind, ()):
                handler(desk, event)
    return {MEMBER: desk.frame.lines()}


class _Files:
    """Which events an access to a file or key makes; that depends on what was there before."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: set[str] = set()  # files that were there
        self._builds: dict[str, str] = {}  # the content of programs among them
        self._values: set[str] = set()  # of the registry

    def on_file(self, event: ev.OnFile) -> None:
        """Sysmon tells of files that are made and deleted, Security of accesses to what is there."""
        desk, op, t_ns = self._desk, event.op, event.t_ns
        path = event.path.lower()
        if op == "create":
            sysmon.created_file(desk, event, event.path)
        elif op == "write":
            security.accessed(desk, event, security.WRITE, t_ns)
            if path not in self._known and (event.build or path.endswith(_PROGRAMS)):
                sysmon.created_file(desk, event, event.path)
        elif op == "read":
            security.accessed(desk, event, security.READ, t_ns)
        elif op == "delete":
            sysmon.deleted_file(desk, event, event.build or self._builds.get(path, ""))
            security.accessed(desk, event, security.DELETE, desk.late(t_ns))
        elif op == "rename":
            security.accessed(desk, event, security.DELETE, t_ns)
            sysmon.created_file(desk, event, event.to)
            self._known.add(event.to.lower())
        elif sysmon.sets_attributes(event.who):
            security.accessed(desk, event, security.ATTRIBUTES, t_ns)
        else:
            sysmon.changed_times(desk, event)
        if op in ("delete", "rename"):
            self._known.discard(path)
            build = self._builds.pop(path, "")
            if build and op == "rename":
                self._builds[event.to.lower()] = build
            return
        self._known.add(path)
        if event.build:
            self._builds[path] = event.build

    def on_registry(self, event: ev.OnRegistry) -> None:
        """A value can only be deleted as one where it was seen to be set."""
        if event.op == "set":
            self._values.add(event.key.lower())
        sysmon.on_registry(self._desk, event, event.key.lower() in self._values)


_HANDLERS: dict[type[ev.Event], tuple[Callable[[Desk, Any], None], ...]] = {
    ev.Started: (sysmon.started, security.started),
    ev.Exited: (sysmon.exited, security.exited),
    ev.Connected: (lambda desk, event: None if event.failed else sysmon.connected(desk, event), security.connected),
    ev.Queried: (sysmon.queried,),
    ev.OnProcess: (sysmon.on_process,),
    ev.Loaded: (sysmon.loaded,),
    ev.OnPipe: (sysmon.on_pipe,),
    ev.RanScript: (system.ran_script,),
    ev.LoggedOn: (security.logged_on,),
    ev.LoggedOff: (security.logged_off,),
    ev.OnService: (system.on_service,),
    ev.OnTask: (system.on_task,),
    ev.OnAccount: (system.on_account,),
    ev.Cleared: (system.cleared,),
    ev.Wrote: (system.message,),
}
