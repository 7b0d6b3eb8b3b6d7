"""Facts of Sysmon and Security events.

Events that make facts stand in `KINDS`; the rest costs nothing. Two events name no process but the server's own:
a file reached over the network (5145) is served by the System process, pid 4. What does not belong here: which
dialect a record is written in, beyond finding its fields (`hostlogs/windows/dialects.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from rlstir_core.hostlogs.schema import MISSING
from rlstir_core.hostlogs.windows.dialects import dialect_of, nested_event
from rlstir_core.hostlogs.windows.event import number
from rlstir_core.hostlogs.windows.field_names import SECURITY, SYSMON_PROVIDERS
from rlstir_core.provenance.facts import (
    TEXT_CHARS,
    Created,
    Dropped,
    Ended,
    Fact,
    FileUsed,
    ProcessUsed,
    Row,
    Seen,
    SocketUsed,
    Who,
    address_of,
    guid_of,
    hashes_of,
    path_of,
    port_of,
    text_of,
)

SYSTEM_PID: Final = 4
_WRITE, _DELETE, _READ = 0x6, 0x10000, 0x1  # write or append data, set a value or make a key; DELETE; read data
_EPHEMERAL = 49152  # Windows picks ports from here up for clients
_INBOUND = ("%%14592", "Inbound")
_L4 = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmp"}
_NO_IMAGES = ("<unknown process>", "&lt;unknown process&gt;")


class Fields(msgspec.Struct, rename="pascal", gc=False):
    """Every field that some event's facts need, of whatever type the record has it in."""

    process_guid: object = None
    process_id: object = None
    process_id_5156: object = msgspec.field(default=None, name="ProcessID")
    parent_process_guid: object = None
    parent_image: object = None
    parent_process_name: object = None
    new_process_id: object = None
    hashes: object = None
    hash: object = None
    source_process_id: object = None
    source_guid_10: object = msgspec.field(default=None, name="SourceProcessGUID")
    source_guid_8: object = msgspec.field(default=None, name="SourceProcessGuid")
    target_guid_10: object = msgspec.field(default=None, name="TargetProcessGUID")
    target_guid_8: object = msgspec.field(default=None, name="TargetProcessGuid")
    target_process_id: object = None
    target_image: object = None
    target_filename: object = None
    target_object: object = None
    event_type: object = None
    image_loaded: object = None
    signed: object = None
    pipe_name: object = None
    device: object = None
    query_name: object = None
    protocol: object = None
    initiated: object = None
    direction: object = None
    source_ip: object = None
    destination_ip: object = None
    destination_port: object = None
    source_address: object = None
    source_port: object = None
    dest_address: object = None
    dest_port: object = None
    object_type: object = None
    object_name: object = None
    access_mask: object = None
    share_name: object = None
    relative_target_name: object = None
    ip_address: object = None
    unnamed: object = msgspec.field(default=None, name="Data")


class _Event(msgspec.Struct, gc=False):
    data: Fields | None = msgspec.field(default=None, name="EventData")


class _Record(Fields, rename="pascal", gc=False):
    """A flat record has the fields itself, EVTX has them in Event/EventData; `winlog` and the like are told apart."""

    event: _Event | None = None
    nested: msgspec.Raw | None = msgspec.field(default=None, name="winlog")
    event_data: msgspec.Raw | None = None
    # with these a process at the top may be the logger's, and the fields stand elsewhere
    payload: msgspec.Raw | None = None
    properties: msgspec.Raw | None = None
    thread_id: msgspec.Raw | None = None
    thread_ID: msgspec.Raw | None = msgspec.field(default=None, name="ThreadID")
    id: msgspec.Raw | None = None


_FAST = msgspec.json.Decoder(_Record)


def decode(raw: bytes | memoryview) -> Fields:
    """The fields of a record in any dialect. Dropped when it is no JSON."""
    try:
        record = _FAST.decode(raw)
        found: Fields | None = record if record.event is None else record.event.data
        if (
            found is not None
            and found.unnamed is None
            and record.payload is None
            and record.properties is None
            and record.thread_id is None
            and record.id is None
            and (
                found.process_guid is not None  # some exporters lose ProcessId to a name of their own
                # alone at the top of a record it may be the logger's
                or (found.process_id is not None and (record.event is not None or found.object_name is not None))
                or (found.process_id_5156 is not None and record.thread_ID is None)
                or found.source_process_id is not None
                or found.new_process_id is not None
                or found.share_name is not None
            )
        ):
            return found
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    return _any_dialect(raw)


def _any_dialect(raw: bytes | memoryview) -> Fields:
    try:
        record: Any = msgspec.json.decode(raw)
        if not isinstance(record, dict):
            raise Dropped("fields")
        told = nested_event(record) if dialect_of(record).kind == "nested" else None
        return msgspec.convert(record if told is None else dict(told.event.fields), Fields)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AttributeError, TypeError, ValueError):
        raise Dropped("fields") from None


def _image(value: object) -> str:
    image = path_of(value)
    return "" if image in _NO_IMAGES else image


def _actor(row: Row, fields: Fields) -> Who:
    return Who(row.pid, guid_of(fields.process_guid), _image(row.exe), row.user)


def _created(row: Row, fields: Fields) -> list[Fact]:
    parent = Who(row.ppid, guid_of(fields.parent_process_guid), _image(fields.parent_image))
    _, best = hashes_of(fields.hashes)
    return [Created(_actor(row, fields), parent, "sysmon", text_of(row.cmdline)[:TEXT_CHARS], best)]


def _created_4688(row: Row, fields: Fields) -> list[Fact]:
    parent = Who(row.ppid, exe=_image(fields.parent_process_name))
    who = Who(row.pid, exe=_image(row.exe), user=row.user)
    return [Created(who, parent, "security", text_of(row.cmdline)[:TEXT_CHARS])]


def _ended(row: Row, fields: Fields) -> list[Fact]:
    return [Ended(_actor(row, fields))]


def _connection(row: Row, fields: Fields) -> list[Fact]:
    began = fields.initiated is True or fields.initiated in ("true", "True", "1")
    protocol = text_of(fields.protocol).lower()
    return [
        SocketUsed(
            _actor(row, fields),
            "connect" if began else "accept",
            protocol if protocol in ("tcp", "udp") else "",
            _told(address_of(fields.source_ip)),
            _told(address_of(fields.destination_ip)),
            port_of(fields.destination_port),
        )
    ]


def _told(address: str) -> str:
    if not address:
        raise Dropped("address")
    return address


def _filtered(op: str) -> Callable[[Row, Fields], list[Fact]]:
    def facts(row: Row, fields: Fields) -> list[Fact]:
        inbound = fields.direction in _INBOUND
        return [
            SocketUsed(
                Who(row.pid, exe=_image(row.exe)),
                ("accept" if inbound else "connect") + op,
                _L4.get(str(fields.protocol), ""),
                _told(address_of(fields.source_address)),
                _told(address_of(fields.dest_address)),
                port_of(fields.dest_port),
            )
        ]

    return facts


def _bound(row: Row, fields: Fields) -> list[Fact]:
    port = port_of(fields.source_port)
    return [
        SocketUsed(
            Who(row.pid, exe=_image(row.exe)),
            "bind",
            _L4.get(str(fields.protocol), ""),
            _told(address_of(fields.source_address)),
            # a port that the system picked says nothing, and each would be a node
            dst_port=0 if port >= _EPHEMERAL else port,
        )
    ]


def _listening(row: Row, fields: Fields) -> list[Fact]:
    who = Who(row.pid, exe=_image(row.exe))
    l4 = _L4.get(str(fields.protocol), "")
    return [
        SocketUsed(who, "listen", l4, _told(address_of(fields.source_address)), dst_port=port_of(fields.source_port))
    ]


def _query(row: Row, fields: Fields) -> list[Fact]:
    name = path_of(fields.query_name).rstrip(".").lower()
    if not name:
        raise Dropped("name")
    return [SocketUsed(_actor(row, fields), "query", "dns", name=name)]


def _loaded(row: Row, fields: Fields) -> list[Fact]:
    signed = {"true": True, "false": False}.get(str(fields.signed).lower())
    sha256, _ = hashes_of(fields.hashes)
    return [FileUsed(_actor(row, fields), windows_path(fields.image_loaded), "load", sha256=sha256, signed=signed)]


def _on_file(op: str) -> Callable[[Row, Fields], list[Fact]]:
    def facts(row: Row, fields: Fields) -> list[Fact]:
        sha256, _ = hashes_of(fields.hashes or fields.hash)
        return [FileUsed(_actor(row, fields), windows_path(fields.target_filename), op, sha256=sha256)]

    return facts


def _registry(row: Row, fields: Fields) -> list[Fact]:
    op = "delete" if text_of(fields.event_type).startswith("Delete") else "write"
    return [FileUsed(_actor(row, fields), windows_path(fields.target_object), op, "registry")]


def _pipe(op: str) -> Callable[[Row, Fields], list[Fact]]:
    def facts(row: Row, fields: Fields) -> list[Fact]:
        name = _named(path_of(fields.pipe_name))
        if name.startswith(("<", "&lt;")):  # anonymous: all of them would be one node
            raise Dropped("anonymous")
        return [FileUsed(_actor(row, fields), name, op, "pipe")]

    return facts


def _raw_read(row: Row, fields: Fields) -> list[Fact]:
    return [FileUsed(_actor(row, fields), _named(path_of(fields.device)), "read", "device")]


def _on_process(op: str) -> Callable[[Row, Fields], list[Fact]]:
    def facts(row: Row, fields: Fields) -> list[Fact]:
        who = Who(row.pid, guid_of(fields.source_guid_10 or fields.source_guid_8), _image(row.exe))
        guid = guid_of(fields.target_guid_10 or fields.target_guid_8)
        return [ProcessUsed(who, Who(number(fields.target_process_id), guid, _image(fields.target_image)), op)]

    return facts


def _object(row: Row, fields: Fields) -> list[Fact]:
    kind = {"File": "file", "Key": "registry"}.get(text_of(fields.object_type))
    if kind is None:
        raise Dropped("object_type")
    mask = _mask(fields.access_mask)
    op = "write" if mask & _WRITE else "delete" if mask & _DELETE else "read" if mask & _READ else "attributes"
    path = windows_path(fields.object_name)
    if path.startswith("\\Device\\NamedPipe\\"):
        path, kind = _named(path.removeprefix("\\Device\\NamedPipe")), "pipe"
    return [FileUsed(Who(row.pid, exe=_image(row.exe)), path, op, kind)]


def _named(path: str) -> str:
    if not path:
        raise Dropped("name")
    return path


def _mask(value: object) -> int:
    found = number(value)
    if found == MISSING:
        raise Dropped("access_mask")
    return found


def _shared(row: Row, fields: Fields) -> list[Fact]:
    """A remote user's look at a file of a share: the System process serves it."""
    who = Who(SYSTEM_PID, exe="System")
    share, name = text_of(fields.share_name).removeprefix("\\\\*\\"), text_of(fields.relative_target_name)
    if not share:
        raise Dropped("name")
    mask = _mask(fields.access_mask)
    op = "write" if mask & _WRITE else "delete" if mask & _DELETE else "read"
    found: list[Fact] = [FileUsed(who, path_of(f"\\\\{row.host}\\{share}\\{name}".rstrip("\\")), op, "share")]
    if address := address_of(fields.ip_address):
        found.append(SocketUsed(who, "accept", "tcp", src_ip=address, dst_port=445))
    return found


def windows_path(value: object) -> str:
    """A path without its device prefix, a registry key by the short name of its hive. Dropped where there is none."""
    path = _named(path_of(value))
    if path[0] == "\\":
        for long, short in _PREFIXES:
            if path[: len(long)].upper() == long:
                return _named(short + path[len(long) :])
    return path


_PREFIXES = (
    ("\\??\\", ""),
    ("\\\\?\\", ""),
    ("\\REGISTRY\\MACHINE", "HKLM"),
    ("\\REGISTRY\\USER", "HKU"),
)

Handler = Callable[[Row, Fields], list[Fact]]

_SYSMON: dict[str, Handler] = {
    "1": _created,
    "2": _on_file("attributes"),
    "3": _connection,
    "5": _ended,
    "7": _loaded,
    "8": _on_process("thread"),
    "9": _raw_read,
    "10": _on_process("access"),
    "11": _on_file("create"),
    "12": _registry,
    "13": _registry,
    "14": _registry,
    "15": _on_file("create"),
    "17": _pipe("create"),
    "18": _pipe("connect"),
    "22": _query,
    "23": _on_file("delete"),
    "26": _on_file("delete"),
}
_SECURITY: dict[str, Handler] = {
    "4656": _object,
    "4663": _object,
    "4688": _created_4688,
    "4689": _ended,
    "5145": _shared,
    "5154": _listening,
    "5156": _filtered(""),
    "5157": _filtered("_failed"),
    "5158": _bound,
}
KINDS: dict[tuple[str, str], Handler] = {
    **{(provider, event): made for provider in sorted(SYSMON_PROVIDERS) for event, made in _SYSMON.items()},
    **{(SECURITY, event): made for event, made in _SECURITY.items()},
}
# handles closed and copied: the columns tell who lived, and there is nothing to decode
SIGHTINGS = frozenset({(SECURITY, "4658"), (SECURITY, "4690")})


def seen(row: Row) -> list[Fact]:
    """A process that did something which makes no edge."""
    return [Seen(Who(row.pid, exe=_image(row.exe)))]
