"""Somebody else's program that is asked in lines: started once, given a time limit an answer, ended with its children.

Everything that it writes is hostile: a refusal says in one sentence how it broke the contract. What does not belong
here: what is asked, and what an answer means (`program.py`).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
import weakref
from typing import IO

from rlstir_core.errors import AgentError
from rlstir_core.text import shown

MOST_BYTES = 64 << 10  # of an answer
_KEPT_BYTES = 2_000  # of what it said on its error output
_GRACE_S = 1.0  # between the end of its input and the end of its processes


class AgentProcess:
    """One running program; lines of its answers, or AgentError."""

    def __init__(self, command: str, limit_s: float) -> None:
        self.command, self.limit_s = command, limit_s
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise AgentError(f"exec:{shown(command)} is no command line ({error}); close its quotes") from None
        if not words:
            raise AgentError("exec: names no command; write exec:COMMAND with its arguments")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise AgentError(
                f"the agent {shown(command)} cannot be started ({error.strerror}); check the command's first word"
            ) from None
        self._stdin, self._stdout, self._stderr = (
            _piped(pipe) for pipe in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        self._said = bytearray()  # on its error output
        self.close = weakref.finalize(self, _end, self._process)  # also when nobody calls it

    def ask(self, question: bytes, where: str) -> bytes:
        """The one line that answers `question`, which is one line; `where` is named in a refusal."""
        if self._read(self._stdout):
            raise self.refused(where, "wrote a line that nobody asked for; answer each question with one line")
        until, sent, answer = time.monotonic() + self.limit_s, 0, bytearray()
        with selectors.DefaultSelector() as ready:
            ready.register(self._stdin, selectors.EVENT_WRITE)
            ready.register(self._stdout, selectors.EVENT_READ)
            ready.register(self._stderr, selectors.EVENT_READ)
            while not self._whole(answer, where):
                left = until - time.monotonic()
                if left <= 0:
                    raise self.refused(where, f"gave no answer within {self.limit_s:g} s; answer sooner")
                for key, _ in ready.select(left):
                    if key.fd == self._stdin:
                        sent += self._write(question[sent:], where)
                        if sent == len(question):
                            ready.unregister(self._stdin)
                    elif key.fd == self._stderr:
                        if not self._listen():
                            ready.unregister(self._stderr)
                    else:
                        part = self._read(self._stdout)
                        if part == b"":
                            raise self.refused(where, self._ended(until))
                        answer += part or b""
        if sent < len(question):
            raise self.refused(where, "answered before it had read the whole question; read a line first")
        return bytes(answer)

    def _whole(self, answer: bytearray, where: str) -> bool:
        """Whether the line is there; AgentError where it is too long, or not alone."""
        line, newline, more = answer.partition(b"\n")
        if len(line) > MOST_BYTES:
            raise self.refused(where, f"wrote more than {MOST_BYTES} bytes without an end of line; answer briefly")
        if more:
            raise self.refused(where, "wrote more than one line; answer each question with one line")
        return bool(newline)

    def refused(self, where: str, how: str) -> AgentError:
        said = self._said.decode(errors="replace").strip().splitlines()
        last = f" (its last words: {shown(said[-1])})" if said else ""
        return AgentError(f"the agent {shown(self.command)}, {where}, {how}{last}")

    def _ended(self, until: float) -> str:
        """Its output has ended: because it has."""
        try:
            code = self._process.wait(max(0.0, min(_GRACE_S, until - time.monotonic())))
        except subprocess.TimeoutExpired:
            return "closed its output; keep it open until the input ends"
        self._listen()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{how} before it answered; it must run until its input ends"

    def _listen(self) -> bool:
        """Keeps the end of what stands on its error output; False where that is closed."""
        part = self._read(self._stderr)
        self._said = (self._said + (part or b""))[-_KEPT_BYTES:]
        return part != b""

    def _write(self, part: bytes, where: str) -> int:
        try:
            return os.write(self._stdin, part)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise self.refused(where, self._ended(time.monotonic() + _GRACE_S)) from None

    def _read(self, pipe: int) -> bytes | None:
        """What there is; None where there is nothing yet, nothing at all at its end."""
        try:
            return os.read(pipe, MOST_BYTES)
        except BlockingIOError:
            return None


def _piped(pipe: IO[bytes] | None) -> int:
    assert pipe is not None
    os.set_blocking(pipe.fileno(), False)
    return pipe.fileno()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends its input, waits a moment, and kills whatever is left of its group."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):  # it is gone already
                pipe.close()
    until = time.monotonic() + _GRACE_S
    if process.returncode is None:
        # it is not reaped before its group is killed, so that the group's number cannot be somebody else's
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > until:
                break
            time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
