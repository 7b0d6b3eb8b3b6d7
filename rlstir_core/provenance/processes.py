"""Which process a log row means: identity that survives the reuse of a pid.

A process is known by its GUID where the source gives one, else by host, pid and when it began: a pid means the
process that began with it last before the event and has not ended. The host is part of every identity. Sysmon and
Security tell the same processes apart differently, so they are joined:
- a GUID seen for the first time takes over the live process of its pid, where that has no GUID yet and the same image;
- an event with a pid alone means the live process of that pid, with a GUID or not, unless their images differ;
- two reports of a creation, from two sources, within JOIN_NS, of one pid, image and command line, are one creation;
  where an exporter lost Sysmon's pid, image and command line decide, if they leave only one.
Rows come in the order of time and a decision is never taken back, so the identities in a prefix of a log are those of
the whole. A node has one image: on Linux, a process that executes another program becomes a further node. What does
not belong here: edges to files and sockets, and tables (`graph.py`).
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from rlstir_core.provenance.facts import Created, Executed, Forked, Who

JOIN_NS: Final = 2_000_000_000  # exporters round Security's clock and Sysmon's to the second
GRACE_NS: Final = 2_000_000_000  # for events of the same image that are logged after the end
_ALWAYS = (0, 4)  # Windows: Idle and System
_INIT = 1
_LATELY = 16  # creations of one command line that are looked at; more than one fit is none


class ProcessNode(msgspec.Struct, gc=False):
    """A node in the making; ids count from 0 in the order of first rows. Times in ns, -1 for none."""

    id: int
    host: str
    pid: int
    guid: str
    first_ts: int
    last_ts: int
    exe: str = ""
    base: str = ""  # the image's name in lower case
    exe_hash: str = ""
    cmdline: str = ""
    user: str = ""
    signed: bool | None = None
    ppid: int = -1
    end_ts: int = -1
    created_ts: int = -1
    sources: str = ""  # that reported its creation
    created_by: list[int] = []  # rows
    parent: int = -1
    rare_parent: float | None = None


def base_name(exe: str) -> str:
    """The last part of a path of either system, in lower case."""
    return exe[max(exe.rfind("\\"), exe.rfind("/")) + 1 :].lower()


def same_image(one: str, other: str) -> bool:
    """Whether two base names can be one image: what is not known can be any, and so can a short 8.3 name."""
    return one == other or not one or not other or "~" in one or "~" in other


class Processes:
    """All processes of one graph."""

    def __init__(self, counts: Counter[str]) -> None:
        self.all: list[ProcessNode] = []
        self.counts = counts
        self._by_guid: dict[tuple[str, str], ProcessNode] = {}
        self._live: dict[tuple[str, int], ProcessNode] = {}
        self._lately: dict[tuple[str, str, str], list[ProcessNode]] = {}  # created, by image and command line

    def actor(self, host: str, who: Who, ts_ns: int) -> ProcessNode | None:
        """The process that did something now: whoever else has its pid has ended. None where the row names none."""
        return self._known(host, who, ts_ns, acts=True) or self._new(host, who, ts_ns, acts=True)

    def other(self, host: str, who: Who, ts_ns: int) -> ProcessNode | None:
        """A process that is only named (a parent, a target): it may have ended, so it displaces nobody."""
        return self._known(host, who, ts_ns, acts=False) or self._new(host, who, ts_ns, acts=False)

    def seen(self, host: str, who: Who, ts_ns: int) -> ProcessNode | None:
        """The process that a row names, if it is known."""
        return self._known(host, who, ts_ns, acts=False)

    def created(self, host: str, fact: Created, at: int, ts_ns: int) -> tuple[ProcessNode, bool] | None:
        """The process that began, and whether this is the first report of it; None where the row names none."""
        who = fact.who
        if who.pid < 0 and not who.guid:
            return None
        found = self._by_guid.get((host, who.guid)) if who.guid else None
        if found is None:
            found = self._reported(host, fact, ts_ns) or self._twin(host, fact, ts_ns)
        if found is None:
            found = self._put(host, who, ts_ns)
            self._take_pid(found, ts_ns)
        elif fact.source in found.sources:
            self.counts["created twice"] += 1
            return None
        else:
            self._say(found, who, ts_ns)
            if who.guid and not found.guid:
                self._give_guid(found, who.guid)
            self._take_pid(found, ts_ns)
        first = not found.sources
        found.sources += f" {fact.source}"
        found.created_ts = ts_ns if first else found.created_ts
        found.created_by = [*found.created_by, at]
        found.cmdline = found.cmdline or fact.cmdline
        found.exe_hash = found.exe_hash or fact.exe_hash
        if first and fact.cmdline:
            lately = self._lately.setdefault((host, who.exe.lower(), fact.cmdline), [])
            lately.append(found)
            del lately[:-_LATELY]
        return found, first

    def forked(self, parent: ProcessNode, fact: Forked, at: int, ts_ns: int) -> ProcessNode:
        """The child that a process made of itself; its own events can come before the parent's."""
        child = self._live.get((parent.host, fact.child_pid))
        early = child is not None and child.end_ts < 0 and ts_ns - child.first_ts <= JOIN_NS and not child.sources
        if child is None or not early or child.ppid not in (-1, parent.pid):
            child = self._put(parent.host, Who(fact.child_pid, ppid=parent.pid), ts_ns)
            self._take_pid(child, ts_ns)
        child.sources, child.created_ts, child.created_by = "fork", ts_ns, [at]
        return child

    def executed(self, host: str, fact: Executed, at: int, ts_ns: int) -> tuple[ProcessNode, ProcessNode | None] | None:
        """The process in its new program, and the node it was before; None where the row names none."""
        who = fact.who
        if who.pid < 0:
            return None
        before = self._live.get((host, who.pid))
        if before is not None and (before.end_ts >= 0 or _is_another(before, who)):
            before = None
        if before is not None and not before.exe:  # a copy of its parent until now
            self._say(before, who, ts_ns)
            found, before = before, None
        else:
            found = self._put(host, who, ts_ns)
            self._take_pid(found, ts_ns)
        found.cmdline = fact.cmdline
        found.sources += " exec"
        found.created_ts = ts_ns if found.created_ts < 0 else found.created_ts
        found.created_by = [*found.created_by, at]
        return found, before

    def ended(self, host: str, who: Who, ts_ns: int) -> None:
        """Notes that a known process ended."""
        found = self._known(host, who, ts_ns, acts=False)
        if found is not None and found.end_ts < 0:
            found.end_ts = ts_ns

    def _known(self, host: str, who: Who, ts_ns: int, acts: bool) -> ProcessNode | None:
        base = base_name(who.exe) if who.exe else ""
        if who.guid:
            found = self._by_guid.get((host, who.guid))
            if found is not None:
                if base and not same_image(base, found.base):
                    self.counts["image differs under one guid"] += 1
                self._say(found, who, ts_ns)
                if acts and found.end_ts < 0 and self._live.get((host, found.pid)) is not found:
                    self._take_pid_if_newer(found, ts_ns)
                return found
        found = self._live.get((host, who.pid)) if who.pid >= 0 else None
        if found is None or (who.guid and found.guid):
            return None
        always = who.pid in _ALWAYS and found.ppid < 0
        if not always and not same_image(base, found.base):
            return None
        late = found.end_ts >= 0 and not (base and found.base and ts_ns - found.end_ts <= GRACE_NS)
        if late and not always:
            return None
        if who.guid:
            self._give_guid(found, who.guid)
        self._say(found, who, ts_ns)
        return found

    def _reported(self, host: str, fact: Created, ts_ns: int) -> ProcessNode | None:
        """The live process of this pid, if it can only be the one whose creation is reported here."""
        who = fact.who
        found = self._live.get((host, who.pid)) if who.pid >= 0 else None
        if found is None or fact.source in found.sources or (who.guid and found.guid):
            return None
        began = found.created_ts if found.created_ts >= 0 else found.first_ts
        differ = fact.cmdline.strip() and found.cmdline.strip() and fact.cmdline.split() != found.cmdline.split()
        if ts_ns - began > JOIN_NS or differ or not same_image(base_name(who.exe), found.base):
            return None
        return found

    def _twin(self, host: str, fact: Created, ts_ns: int) -> ProcessNode | None:
        """The one process of which another source reported this creation, where one of both gave no pid."""
        lately = self._lately.get((host, fact.who.exe.lower(), fact.cmdline)) if fact.cmdline else None
        if not lately:
            return None
        lately[:] = [each for each in lately if ts_ns - each.created_ts <= JOIN_NS]
        fit = [
            each
            for each in lately
            if fact.source not in each.sources
            and not (each.guid and fact.who.guid)
            and (each.pid < 0) != (fact.who.pid < 0)
        ]
        return fit[0] if len(fit) == 1 else None

    def _new(self, host: str, who: Who, ts_ns: int, acts: bool) -> ProcessNode | None:
        if who.pid < 0 and not who.guid:
            return None
        made = self._put(host, who, ts_ns)
        live = self._live.get((host, who.pid))
        if acts or live is None or live.end_ts >= 0 or not live.guid:
            self._take_pid(made, ts_ns)
        return made

    def _put(self, host: str, who: Who, ts_ns: int) -> ProcessNode:
        base = base_name(who.exe)
        made = ProcessNode(
            len(self.all), host, who.pid, who.guid, ts_ns, ts_ns, who.exe, base, user=who.user, ppid=who.ppid
        )
        self.all.append(made)
        if who.guid:
            self._by_guid[host, who.guid] = made
        return made

    def _say(self, found: ProcessNode, who: Who, ts_ns: int) -> None:
        """Fills what was not known of a process."""
        found.last_ts = max(found.last_ts, ts_ns)
        if not found.exe and who.exe:
            found.exe, found.base = who.exe, base_name(who.exe)
        if not found.user:
            found.user = who.user
        if found.pid < 0 <= who.pid:
            found.pid = who.pid
        elif who.pid not in (found.pid, -1):
            self.counts["pid differs under one guid"] += 1
        if found.ppid < 0:
            found.ppid = who.ppid

    def _give_guid(self, found: ProcessNode, guid: str) -> None:
        found.guid = guid
        self._by_guid[found.host, guid] = found

    def _take_pid(self, made: ProcessNode, ts_ns: int) -> None:
        if made.pid < 0:
            return
        live = self._live.get((made.host, made.pid))
        if live is not None and live is not made and live.end_ts < 0:
            live.end_ts = ts_ns  # unseen: another has its pid now
        self._live[made.host, made.pid] = made

    def _take_pid_if_newer(self, found: ProcessNode, ts_ns: int) -> None:
        """A process that acts has its pid, unless another is known to have begun with it later."""
        live = self._live.get((found.host, found.pid))
        if live is None or live.created_ts < found.first_ts:
            self._take_pid(found, ts_ns)


def _is_another(before: ProcessNode, who: Who) -> bool:
    """Whether the pid was reused without notice: another parent, and not the one that orphans get."""
    return before.ppid >= 0 and who.ppid > _INIT and who.ppid != before.ppid
