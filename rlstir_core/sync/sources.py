"""Where episodes come from: a folder, or a store behind any of fsspec's URLs; `ssh.py` has those behind ssh.

A source writes what it fetches into a file that it is given, and never more of it than it was told. What does not
belong here: whether what came is right (`run.py`).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

from rlstir_core.contract.reasons import EpisodeRejected
from rlstir_core.episodes.reading.read import open_plain
from rlstir_core.errors import ConfigError
from rlstir_core.sync.pace import Pace
from rlstir_core.text import one_line, shown

_CHUNK = 1 << 20
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*(?:::|://)")

Tick = Callable[[int], None]  # bytes of this file that are there


class LinkCut(Exception):
    """The link broke: the same file may come at another try."""


class Unfit(Exception):
    """This one file is not to be had, or is not what its index line says: left for the next time."""


class NotThere(Unfit):
    """The file is not there."""


class EpisodeSource(Protocol):
    """Another store, to be read from."""

    name: str  # as it may be shown: without a password

    def __enter__(self) -> EpisodeSource: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def fetch(self, path: str, to: Path, most: int, tick: Tick) -> None:
        """Writes the file at `path` to `to`, or at most one byte more than `most` of it; LinkCut, NotThere or Unfit."""


class _Streamed(AbstractContextManager["_Streamed"]):
    """A source whose files are opened and read."""

    name = ""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def open(self, path: str) -> BinaryIO:
        """The file at `path`, to be read and closed; what is wrong with it is told by `_telling`."""

    def fetch(self, path: str, to: Path, most: int, tick: Tick) -> None:
        n, at_once = 0, self._pace.piece(_CHUNK)
        with _telling(path):
            source = self.open(path)
        with source, to.open("wb") as copy:  # what goes wrong with the copy is no fault of the source
            while n <= most:
                since = self._pace.now()
                with _telling(path):
                    chunk = source.read(min(at_once, most + 1 - n))
                if not chunk:
                    return
                n += copy.write(chunk)
                tick(n)
                self._pace.spent(len(chunk), since, partial(tick, n))


class Folder(_Streamed):
    """A store in a folder of this machine, or of one that is mounted."""

    def __init__(self, root: Path, pace: Pace) -> None:
        super().__init__(pace)
        self.name, self.root = str(root), root

    def open(self, path: str) -> BinaryIO:
        for folder in list(Path(path).parents)[:-1]:
            if (self.root / folder).is_symlink():
                raise Unfit(f"the folder {folder} is a link")
        try:
            return open_plain(self.root / path)
        except EpisodeRejected as error:
            raise (Unfit if (self.root / path).exists() else NotThere)(str(error)) from None


class Url(_Streamed):
    """A store behind a URL that fsspec knows."""

    def __init__(self, url: str, pace: Pace) -> None:
        super().__init__(pace)
        self.name = re.sub(r"//[^/@]*@", "//", url)
        import fsspec

        try:
            self._fs, root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise ConfigError(
                f"source {self.name} needs a package that is not installed ({one_line(str(error))}); install it, for "
                "s3:// with: pip install 'rlstir[sync]'"
            ) from None
        except (ValueError, OSError) as error:
            raise ConfigError(f"source {self.name} cannot be used: {one_line(str(error))}") from None
        self._root = str(root).rstrip("/")

    def open(self, path: str) -> BinaryIO:
        found: BinaryIO = self._fs.open(f"{self._root}/{path}", "rb")
        return found


class _telling(AbstractContextManager[None]):  # noqa: N801 - reads as a word of the with statement
    """What a file system raises, as LinkCut, NotThere or Unfit: libraries have their own errors, so all are heard."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, (LinkCut, Unfit)):
            return
        what = one_line(str(error)) or type(error).__name__
        if isinstance(error, FileNotFoundError):
            raise NotThere(f"{self._path} is not there") from error
        if isinstance(error, (PermissionError, IsADirectoryError)):
            raise Unfit(f"{self._path} cannot be read ({what})") from error
        raise LinkCut(f"{self._path}: {what}") from error


def source_of(text: str, rate: int = 0, pace: Pace | None = None) -> EpisodeSource:
    """The source that a folder's path or a URL names; ConfigError where it can be none."""
    pace = pace or Pace(rate)
    if not text.strip() or "\0" in text:
        raise ConfigError(f"source {shown(text)} is empty; name a folder, ssh://HOST/PATH or a URL")
    if text.startswith("ssh://"):
        from rlstir_core.sync.ssh import Ssh

        return Ssh(text, pace)
    if _URL.match(text) and not text.startswith("file://"):
        return Url(text, pace)
    folder = Path(text.removeprefix("file://")).absolute()
    if not folder.is_dir():
        raise ConfigError(f"source {folder} is not a folder; name a store's folder, ssh://HOST/PATH or a URL")
    return Folder(folder, pace)
