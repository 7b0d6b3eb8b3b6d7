"""What a case is, and the good episode that every case spoils.

What does not belong here: containers made by hand (`archive/`) and the cases themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from rlstir_core.contract.registry import default_registry
from rlstir_core.episodes.store.writer import tar_bytes

SECOND = 10**9
T0 = 1_750_000_000 * SECOND
DURATION = 12 * SECOND
END = bytes(1024)


class Good:
    """A small episode that is ok, in parts."""

    def __init__(self, host: str, episode: str) -> None:
        self.host, self.episode = host, episode

    def fields(self, **changes: Any) -> dict[str, Any]:
        """The meta; a change to `...` leaves the key out."""
        meta = {
            "schema_version": 1,
            "episode_id": self.episode,
            "host_id": self.host,
            "profile": "io-walk",
            "sample_name": "walker",
            "benign": False,
            "t_start_wall_ns": T0,
            "t_end_wall_ns": T0 + DURATION,
        } | changes
        return {key: value for key, value in meta.items() if value is not ...}

    def meta(self, **changes: Any) -> bytes:
        return json.dumps(self.fields(**changes), ensure_ascii=False).encode()

    def meta_with(self, key: str, raw: bytes) -> bytes:
        """The meta whose value of `key` is exactly the text `raw`."""
        return self.meta(**{key: ...})[:-1] + b', "%s": %s}' % (key.encode(), raw)

    def labels(self, *pairs: tuple[float, str]) -> bytes:
        pairs = pairs or ((0, "clean"), (4, "armed"), (6, "infecting"), (8, "infected_running"))
        lines = [{"t_wall_ns": T0 + int(t * SECOND), "phase": phase} for t, phase in pairs]
        return msgspec.json.Encoder().encode_lines(lines)

    def row(self, source: str, i: int, **changes: Any) -> dict[str, Any]:
        row: dict[str, Any] = {"t_wall_ns": T0 + i * SECOND, "t_mono_ns": i * SECOND}
        for n, (name, field) in enumerate(default_registry().sources[source].fields.items(), 1):
            row[name] = i * 0.5 if field.type == "float" else i * n
        return {key: value for key, value in (row | changes).items() if value is not ...}

    def rows(self, source: str, n: int = 12, change: Callable[[int], Mapping[str, Any]] = lambda _: {}) -> bytes:
        """`n` rows; `change(i)` is what row i has otherwise."""
        return msgspec.json.Encoder().encode_lines([self.row(source, i, **change(i)) for i in range(n)])

    def line_with(self, source: str, key: str, raw: bytes) -> bytes:
        """A row whose value of `key` is exactly the text `raw`, without a line end."""
        row = json.dumps(self.row(source, 5, **{key: ...})).encode()
        return row[:-1] + b', "%s": %s}' % (key.encode(), raw)

    def members(self, **changes: bytes | None) -> dict[str, bytes]:
        """All members; `proc=…` replaces `proc.jsonl`, `meta=…` the meta, None leaves a member out."""
        found: dict[str, bytes | None] = {"meta.json": self.meta(), "labels.jsonl": self.labels()}
        found |= {f"{name}.jsonl": self.rows(name) for name in default_registry().sources}
        for name, data in changes.items():
            found["meta.json" if name == "meta" else f"{name}.jsonl"] = data
        return {name: data for name, data in found.items() if data is not None}

    def body(self, **changes: bytes | None) -> bytes:
        """The tar without its end blocks."""
        return tar_bytes(self.members(**changes))[: -len(END)]

    def tar(self, **changes: bytes | None) -> bytes:
        return self.body(**changes) + END

    def packed(self, **changes: bytes | None) -> bytes:
        return pack(self.tar(**changes))


def pack(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(raw)


Record = dict[str, Any]
Content = bytes | Iterable[bytes]


def one_line(record: Record) -> bytes:
    return json.dumps(record).encode() + b"\n"


@dataclass(frozen=True)
class Case:
    """One tarball, what the index says of it, and the verdict on both."""

    name: str
    verdict: str
    reason: str  # ends in a dot where any reason of the family will do
    make: Callable[[Good], Content]
    lines: Callable[[Record], bytes] = one_line  # of the index, from the true record
    place: Callable[[Path, Good], None] | None = None  # puts something there that is no plain file
    host: str = ""
    heavy: bool = False  # costs much of a second; read with the whole store only
    alone: bool = True  # the verdict does not need the index

    @property
    def family(self) -> str:
        return self.reason.partition(".")[0]

    @property
    def path(self) -> str:
        return f"episodes/{self.host}/{self.name}.tar.zst"

    @property
    def good(self) -> Good:
        return Good(self.host, self.name)

    def chunks(self) -> Iterable[bytes]:
        made = self.make(self.good)
        return [made] if isinstance(made, bytes) else made

    def accepts(self, verdict: str, reason: str) -> bool:
        same = reason.startswith(self.reason) if self.reason.endswith(".") else reason == self.reason
        return verdict == self.verdict and same


def ok(host: str, name: str, make: Callable[[Good], Content], **more: Any) -> Case:
    return Case(name, "ok", "", make, host=host, **more)


def reject(host: str, name: str, reason: str, make: Callable[[Good], Content], **more: Any) -> Case:
    return Case(name, "reject", reason, make, host=host, **more)


def degraded(host: str, name: str, reason: str, make: Callable[[Good], Content], **more: Any) -> Case:
    return Case(name, "degraded", reason, make, host=host, **more)
