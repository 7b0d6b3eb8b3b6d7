"""`rlstir lab tamper`: logs or an episode on disk, tampered with, and the truth about it beside or inside.

Nothing is overwritten. An episode becomes another one whose name tells nothing; what is no log in it stays byte for
byte. What does not belong here: operators, and what a log's records are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rlstir_core.atomic import write_bytes
from rlstir_core.contract.members import META, TAMPER_SPANS, log_member
from rlstir_core.contract.reasons import EpisodeRejected
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.archive import members
from rlstir_core.episodes.reading.frames import FrameReader
from rlstir_core.episodes.reading.meta import parse_meta
from rlstir_core.episodes.reading.read import open_plain
from rlstir_core.episodes.reading.strict import parse_object
from rlstir_core.episodes.store.writer import append_index, write_episode
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.hostlogs.attack.truth import MAX_BYTES, TamperSpan, read_truth
from rlstir_core.hostlogs.opening.containers import Found, files
from rlstir_core.hostlogs.parsers import spec_of
from rlstir_core.hostlogs.times.evidence import evidence_of
from rlstir_core.lab.signals import stream
from rlstir_core.lab.tamper.apply import Tampered, tampered
from rlstir_core.lab.tamper.changes.operators import check
from rlstir_core.lab.tamper.records.headers import check_headers
from rlstir_core.progress import Progress

_ZSTD = b"\x28\xb5\x2f\xfd"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(kw_only=True)
class TamperRun:
    """What was tampered with, and where it lies."""

    operator: str
    out: Path
    episode: str = ""  # the new episode's id, where the source was one
    n_logs: int = 0
    n_rows: int = 0  # of the logs that were tampered with, before
    n_changed: int = 0
    n_forged: int = 0
    n_removed: int = 0
    spans: list[TamperSpan] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # logs to which the operator cannot apply, and why


def tamper_source(
    source: Path,
    operator: str,
    out: Path,
    *,
    seed: int = 7,
    strength: float = 0.5,
    headers: str = "moved",
    progress: Progress | None = None,
) -> TamperRun:
    """Tampers with a log, a folder or container of logs, or an episode; StoreError and ConfigError in one sentence."""
    check(operator, strength)
    check_headers(headers)
    made = TamperRun(operator=operator, out=out)
    episode = _episode(source)
    if episode is not None:
        _tamper_episode(episode, made, seed, strength, headers)
        return made
    names: set[str] = set()
    for n_seen, found in enumerate(files(source), 1):
        if progress is not None:
            progress(n_seen, 0, found.name)
        _tamper_file(found, made, names, seed, strength, headers)
    if not made.n_logs:
        first = f" ({made.left_out[0]})" if made.left_out else ""
        raise ConfigError(f"{operator} can apply to no log in {source}{first}; name another operator or other logs")
    return made


def _tamper_file(found: Found, made: TamperRun, names: set[str], seed: int, strength: float, headers: str) -> None:
    """One log file; what is none, or cannot be read, or is not for this operator, is named."""
    if found.fault or found.guess.log is None:
        made.left_out.append(f"{found.name}: {found.fault or found.passed or 'no log'}")
        return
    name = _safe(found.name, names)
    evidence = evidence_of(found.modified_ns)
    first = spec_of(found.guess.log).surveyed([found.data], evidence).first_ns
    near = first if first is not None else evidence.modified_ns
    try:
        after = tampered(
            {name: found.data},
            made.operator,
            _dice(made.operator, seed, found.data),
            strength=strength,
            near_ns=near,
            headers=headers,
        )
    except ConfigError as error:
        made.left_out.append(f"{found.name}: {error}")
        return
    ((member, data),) = after.logs.items()
    names.add(member)
    truth = f"{member}.{TAMPER_SPANS}"
    for each in (member, truth):
        if (made.out / each).exists():
            raise StoreError(f"{made.out / each} is there already; name an empty folder")
    write_bytes(made.out / member, data)
    write_bytes(made.out / truth, msgspec.json.encode(after.spans))
    made.files.append(made.out / member)
    _count(made, after)


def _tamper_episode(parts: Mapping[str, bytes], made: TamperRun, seed: int, strength: float, headers: str) -> None:
    meta = parse_meta(parts[META], Limits())
    record = parse_object(parts[META], Limits().nesting)
    assert isinstance(record, dict)  # it was parsed
    logs = {name: data for name, data in parts.items() if log_member(name)}
    if not logs:
        raise ConfigError(f"episode {meta.episode_id} has no logs; name one that has")
    whole = hashlib.sha256()
    for name in sorted(parts):
        whole.update(name.encode() + b"\0" + hashlib.sha256(parts[name]).digest())
    after = tampered(
        logs,
        made.operator,
        _dice(made.operator, seed, whole.digest()),
        strength=strength,
        near_ns=meta.t_start_wall_ns,
        headers=headers,
    )
    whole.update(f"{made.operator}\0{seed}\0{strength}".encode())
    episode = f"log-{whole.hexdigest()[:16]}"
    path = made.out / "episodes" / meta.host_id / f"{episode}.tar.zst"
    if path.exists():
        raise StoreError(f"{path} is there already; name another folder or another seed")
    others = {name: data for name, data in parts.items() if name not in logs and name != META}
    truth = msgspec.json.encode([*_moved(others.get(TAMPER_SPANS), after.origin), *after.spans])
    if len(truth) > MAX_BYTES:
        raise ConfigError(f"the truth of {made.operator} has {len(truth)} bytes, over {MAX_BYTES}; lower the strength")
    meta_record: dict[str, Any] = {**record, "episode_id": episode}
    entry = write_episode(made.out, meta_record, (), {}, {**others, **after.logs, TAMPER_SPANS: truth})
    append_index(made.out, [entry])
    made.episode = episode
    made.files.append(path)
    _count(made, after)


def _moved(raw: bytes | None, origin: Mapping[str, Sequence[int]]) -> list[TamperSpan]:
    """The spans that the episode had, their rows where they stand now; of rows that are gone nothing is left."""
    kept: list[TamperSpan] = []
    for span in read_truth(None, raw).spans:
        if span.member not in origin:
            kept.append(span)
            continue
        now = {place: seq for seq, place in enumerate(origin[span.member]) if place >= 0}
        after, before = span.after_seq, span.before_seq
        if after is not None:
            after = max((seq for place, seq in now.items() if place <= after), default=-1)
        if before is not None and before >= 0:
            before = min((seq for place, seq in now.items() if place >= before), default=-1)
        seqs = tuple(now[seq] for seq in span.seqs if seq in now)
        if seqs or not span.seqs:
            kept.append(msgspec.structs.replace(span, seqs=seqs, after_seq=after, before_seq=before))
    return kept


def _episode(source: Path) -> dict[str, bytes] | None:
    """The members of an episode tarball; None where the source is none, StoreError where it is a damaged one."""
    try:
        if not source.is_file() or source.is_symlink():
            return None
        with source.open("rb") as handle:
            if handle.read(4) != _ZSTD:
                return None
    except OSError as error:
        raise StoreError(f"{source} cannot be read ({error.strerror}); check its permissions") from None
    found: dict[str, bytes] = {}
    try:
        with open_plain(source) as plain:
            for name, _, chunks in members(FrameReader(plain, Limits()), Limits()):
                found[name] = b"".join(chunks)
    except EpisodeRejected as error:
        if META in found:
            raise StoreError(f"{source.name} is an episode that is rejected ({error}); name a sound one") from None
        return None
    return found if META in found else None


def _safe(name: str, taken: set[str]) -> str:
    """A plain file name, once: names inside containers are anybody's."""
    plain = _UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).lstrip(".")[:100] or "log"
    stem, dot, end = plain.rpartition(".")
    n, free = 1, plain
    while free in taken or f"{free.removesuffix('.evtx')}.jsonl" in taken:
        n += 1
        free = f"{stem}-{n}.{end}" if dot and stem else f"{plain}-{n}"
    return free


def _dice(operator: str, seed: int, data: bytes) -> np.random.Generator:
    return stream("tamper", operator, seed, hashlib.sha256(data).hexdigest())


def _count(made: TamperRun, after: Tampered) -> None:
    made.n_logs += 1
    n_forged = sum(place < 0 for origin in after.origin.values() for place in origin)
    n_removed = sum(span.n_removed for span in after.spans)
    made.n_rows += sum(len(origin) for origin in after.origin.values()) - n_forged + n_removed
    made.n_forged += n_forged
    made.n_removed += n_removed
    made.n_changed += sum(len(span.seqs) for span in after.spans) - n_forged
    made.spans += after.spans
