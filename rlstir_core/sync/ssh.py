"""A store behind ssh, through the system's own programs: rsync where both sides have it, else sftp.

One connection serves every file (ControlMaster), with the keys, hosts and options of the user's `~/.ssh`; nobody is
asked for a password. What does not belong here: whether what came is right (`run.py`).
"""

from __future__ import annotations

import errno
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

from rlstir_core.errors import ConfigError
from rlstir_core.sync.pace import Pace
from rlstir_core.sync.sources import LinkCut, NotThere, Tick, Unfit
from rlstir_core.text import one_line, shown

_POLL_S = 0.05
_LIVE_S = 20  # without a sign of life the link counts as cut
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|[0-9A-Fa-f:]+", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_PATH = re.compile(r"/[\w./~+,=@:-]*")  # neither shell nor sftp reads anything into these


class Ssh:
    """A store on a machine that ssh reaches."""

    def __init__(self, url: str, pace: Pace) -> None:
        try:
            parts = urlsplit(url)
            host, port, user, path = parts.hostname or "", parts.port, parts.username or "", unquote(parts.path)
        except ValueError as error:
            raise ConfigError(f"source {shown(url)} is no ssh URL ({error}); write ssh://user@host/path") from None
        if parts.password is not None:
            raise ConfigError("the ssh source names a password, which others could read; use a key, and leave it out")
        if not _HOST.fullmatch(host) or (user and not _USER.fullmatch(user)) or not _PATH.fullmatch(path):
            raise ConfigError(
                f"source {shown(url)} is no ssh://user@host:port/path of plain letters; name host and path that way"
            )
        if shutil.which("ssh") is None:
            raise ConfigError("ssh:// needs the program ssh, which is not installed; install openssh-client")
        self.name = url
        self._at = f"{user}@{host}" if user else host
        self._bracketed = self._at.replace(host, f"[{host}]") if ":" in host else self._at
        self._port = ["-o", f"Port={port}"] if port else []
        self._root, self._pace = path.rstrip("/"), pace
        self._folder: Path | None = None
        self._has_rsync: bool | None = None

    def __enter__(self) -> Ssh:
        self._folder = Path(tempfile.mkdtemp(prefix="rls-"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            ending = ["ssh", *self._options(), "-O", "exit", self._at]
            subprocess.run(ending, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_LIVE_S)  # noqa: S603
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def fetch(self, path: str, to: Path, most: int, tick: Tick) -> None:
        if self._has_rsync is None:
            self._has_rsync = shutil.which("rsync") is not None and self._answers("rsync --version")
        since = self._pace.now()
        size = self._rsync(path, to, most, tick) if self._has_rsync else self._sftp(path, to, most, tick)
        # the programs limit one file, and many small ones after each other would be a flood
        self._pace.spent(size, since, lambda: tick(size))

    def _options(self) -> list[str]:
        given = {
            "BatchMode": "yes",
            "ConnectTimeout": f"{_LIVE_S}",
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": f"{_LIVE_S // 5}",
            "ControlMaster": "auto",
            "ControlPath": f"{self._folder}/%C",
            "ControlPersist": "60",
        }
        return [*(word for name, value in given.items() for word in ("-o", f"{name}={value}")), *self._port]

    def _answers(self, command: str) -> bool:
        """Whether a command works over there; LinkCut where there is no way to ask."""
        words = ["ssh", *self._options(), self._at, command]
        # the connection that stays must hold none of our pipes: a file takes what is said
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False)  # noqa: S603
            said.seek(0)
            if done.returncode == 255:
                raise LinkCut(_last(said.read(10_000)))
        return done.returncode == 0

    def _rsync(self, path: str, to: Path, most: int, tick: Tick) -> int:
        limit = [f"--bwlimit={max(1, self._pace.rate // 1024)}"] if self._pace.rate else []
        shell = shlex.join(["ssh", *self._options()])
        code, said, size = self._run(
            [
                *("rsync", "--whole-file", "--inplace", "--protect-args", "--ignore-times"),
                *(f"--timeout={_LIVE_S}", *limit, "-e", shell, "--"),
                *(f"{self._bracketed}:{self._root}/{path}", str(to)),
            ],
            *(to, most, tick),
        )
        if code and "No such file" in said:
            raise NotThere(f"{path} is not there")
        if code == 23:
            raise Unfit(f"{path} cannot be read ({_last(said.encode())})")
        if code:
            raise LinkCut(f"{path}: {_last(said.encode())}")
        if "non-regular" in said:
            raise Unfit(f"{path} is no plain file")
        return size

    def _sftp(self, path: str, to: Path, most: int, tick: Tick) -> int:
        limit = ["-l", f"{max(8, self._pace.rate * 8 // 1024)}"] if self._pace.rate else []
        with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".batch") as batch:
            target = str(to).replace("\\", "\\\\").replace('"', '\\"')
            batch.write(f'get "{self._root}/{path}" "{target}"\n')
            batch.flush()
            code, said, size = self._run(
                ["sftp", "-q", "-S", "ssh", *limit, "-b", batch.name, *self._options(), self._bracketed],
                *(to, most, tick),
            )
        if code and re.search(r"not found|No such file", said):
            raise NotThere(f"{path} is not there")
        if code and re.search(r"Permission denied$|not a regular file", said, re.MULTILINE) and path in said:
            raise Unfit(f"{path} cannot be read ({_last(said.encode())})")
        if code:
            raise LinkCut(f"{path}: {_last(said.encode())}")
        return size

    def _run(self, words: list[str], to: Path, most: int, tick: Tick) -> tuple[int, str, int]:
        """Runs a program that writes `to`, and stops it where that grows too large: code, what it said, size."""
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said)  # noqa: S603
            try:
                while True:
                    try:
                        code = process.wait(_POLL_S)
                        break
                    except subprocess.TimeoutExpired:
                        tick(size := to.stat().st_size)
                        if size > most:
                            return 0, "", size
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            said.seek(0)
            text = said.read(10_000).decode("utf-8", "replace")
        if "No space left" in text:
            raise OSError(errno.ENOSPC, "No space left on device", str(to.parent))
        return code, text, to.stat().st_size


def _last(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return one_line(lines[-1] if lines else "no answer", 200)
