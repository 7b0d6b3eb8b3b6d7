"""Sysmon configurations whose rules name techniques (`technique_id=T1003` in a rule's name), such as sysmon-modular.

What does not belong here: Sysmon's events (`hostlogs/windows/`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from rlstir_core.errors import ConfigError
from rlstir_core.importers.technique_texts.text import Text, checked, read_bytes, said

_MAX_BYTES = 16 << 20
_DEPTH = 16
_ID = re.compile(r"technique_id=(T\d{4}(?:\.\d{3})?)", re.ASCII | re.IGNORECASE)
_EVENTS = {
    "ProcessCreate": 1,
    "FileCreateTime": 2,
    "NetworkConnect": 3,
    "ProcessTerminate": 5,
    "DriverLoad": 6,
    "ImageLoad": 7,
    "CreateRemoteThread": 8,
    "RawAccessRead": 9,
    "ProcessAccess": 10,
    "FileCreate": 11,
    "RegistryEvent": 13,
    "FileCreateStreamHash": 15,
    "PipeEvent": 17,
    "WmiEvent": 19,
    "DnsQuery": 22,
    "FileDelete": 23,
    "ClipboardChange": 24,
    "ProcessTampering": 25,
    "FileDeleteDetected": 26,
    "FileBlockExecutable": 27,
    "FileBlockShredding": 28,
    "FileExecutableDetected": 29,
}


class _Refused(Exception):
    """Declares a document type, or is nested deeper than any configuration."""


def sysmon_texts(path: Path, faults: list[str]) -> Iterator[Text]:
    """A text of every condition under a rule that names a technique; XML of another kind is passed over."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse  # and with it every entity of its own
    try:
        parser.Parse(read_bytes(path, _MAX_BYTES), True)
    except (expat.ExpatError, _Refused, ValueError) as error:
        if reader.found:
            faults.append(f"{path.name}: {str(error) or 'nested too deep, or with a document type'}")
    for technique, event, value in reader.found:
        try:
            yield checked(
                Text(
                    source="sysmon_modular",
                    id=path.name[:80],
                    techniques=(technique,),
                    kind="detection",
                    text=value,
                    platform="windows",
                    events=(f"sysmon|{event}",),
                )
            )
        except ConfigError as error:
            faults.append(f"{path.name}: {error}")


def _refuse(*_: object) -> None:
    raise _Refused


class _Reader:
    def __init__(self) -> None:
        self.found: list[tuple[str, int, str]] = []
        self._names: list[str] = []  # of the elements that are open
        self._techniques: list[str] = []  # that they name
        self._texts: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._names) >= _DEPTH:
            raise _Refused
        named = _ID.search(attributes.get("name", ""))
        self._names.append(name)
        self._techniques.append(named[1] if named else self._techniques[-1] if self._techniques else "")
        self._texts = []

    def text(self, part: str) -> None:
        self._texts.append(part)

    def end(self, _: str) -> None:
        technique, value = self._techniques.pop(), said("".join(self._texts))
        event = next((_EVENTS[name] for name in self._names if name in _EVENTS), None)
        self._names.pop()
        self._texts = []
        if technique and value and event is not None:
            self.found.append((technique, event, value))
