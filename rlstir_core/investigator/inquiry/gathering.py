"""A user's paths to files of log rows, in a private folder that is gone afterwards.

An episode's tarball is read as any raw episode; everything else goes the way of `rlstir import logs`, into a store of
its own. No label is read. What does not belong here: what is said of the rows.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from rlstir_core.atomic import passing
from rlstir_core.contract.members import META
from rlstir_core.contract.reasons import EpisodeRejected
from rlstir_core.contract.registry import Registry, default_registry
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.store.index import read_index
from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.attack.truth import LogTruth
from rlstir_core.hostlogs.opening.frames import Frames, compression_of
from rlstir_core.hostlogs.store import parse_tarball
from rlstir_core.hostlogs.tally import RowTally
from rlstir_core.importers.logs import import_logs
from rlstir_core.progress import Progress

_LOOKED_AT = 200  # members of a tar, for its meta
_HEAD = 1 << 12


@dataclass(frozen=True, kw_only=True)
class LogRows:
    """The rows of one log file, or of all logs of one episode."""

    name: str
    recording: bool
    host: str  # whose log it is, or most of it
    table: pa.Table
    tally: RowTally
    left_out: int

    def shown(self, member: str) -> str:
        """A log file's name as the user knows it."""
        return f"{self.name}: {member}" if self.recording else self.name


@dataclass
class Gathered:
    """What a user's paths hold; rows are opened one log after the other."""

    n_logs: int = 0  # that will be opened
    warnings: list[str] = field(default_factory=list)
    _sources: list[tuple[Path, bool]] = field(default_factory=list)  # tarballs; recorded, or of an import
    private: Path = Path()  # the folder
    _registry: Registry = field(default_factory=default_registry)

    def logs(self) -> Iterator[LogRows]:
        for path, recording in self._sources:
            rows = _opened(path, recording, self._registry)
            if rows is not None:
                yield rows
            elif recording:
                self.warnings.append(f"{path.name} is an episode without logs")
            if not recording:
                path.unlink()


@contextmanager
def gathered(
    paths: Sequence[Path],
    *,
    registry: Registry,
    zone: str = "",
    zones: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Iterator[Gathered]:
    """Everything under `paths`; StoreError where there is no log, or an episode that cannot be trusted."""
    episodes = [path for path in paths if is_episode(path)]
    others = [path for path in paths if path not in episodes]
    with tempfile.TemporaryDirectory(prefix="rlstir-", ignore_cleanup_errors=True) as private:
        found = Gathered(private=Path(private), _registry=registry)
        found._sources = [(path, True) for path in episodes]
        if others:
            store = Path(private) / "store"
            with passing():
                made = import_logs(others, store, zone=zone, zones=zones, progress=progress)
            found.warnings = made.warnings()
            for what, names in (("no logs", made.not_logs), ("passed over", made.passed)):
                if names:
                    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                    found.warnings.append(f"{what}: {names[0]}{more}")
            found._sources += [(store / entry.path, False) for entry in read_index(store).entries]
        found.n_logs = len(found._sources)
        yield found


def is_episode(path: Path) -> bool:
    """Whether a file is a tar in zstd with a meta.json of its own: an episode, good or bad."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as handle:
            if compression_of(handle.read(_HEAD)) != "zstd":
                return False
            handle.seek(0)
            stream = cast(IO[bytes], Frames(handle, "zstd"))
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for n, info in enumerate(archive):
                    if info.name.removeprefix("./") == META:
                        return True
                    if n >= _LOOKED_AT:
                        break
    except (OSError, EOFError, ValueError, tarfile.TarError):
        return False
    return False


def _opened(path: Path, recording: bool, registry: Registry) -> LogRows | None:
    """The rows of a tarball; None where it holds no log. StoreError where it cannot be trusted."""
    reading = read_episode(path, registry=registry if recording else default_registry(), truth=False)
    episode, verdict = reading.episode, reading.verdict
    if episode is None:
        raise StoreError(
            f"{path} is an episode that cannot be trusted: its verdict is {verdict.verdict} ({verdict.reason}), "
            f"{verdict.detail}"
        )
    meta = episode.meta
    try:
        parsed = parse_tarball(path, meta.host_id, meta.episode_id, meta.t_start_wall_ns)
    except EpisodeRejected as error:  # the file changed in between
        raise StoreError(f"{path} cannot be read: {error}") from None
    table = parsed.builder.finish(LogTruth())
    if not len(table):
        return None
    return LogRows(
        name=meta.episode_id if recording else meta.origin or meta.episode_id,
        recording=recording,
        host=meta.host_id,
        table=table,
        tally=parsed.tally,
        left_out=parsed.builder.n_left_out,
    )
