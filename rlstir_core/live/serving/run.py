"""Runs a live view until it is told to end, and says where it is to whoever may read the data folder.

One at a time works in a folder: it holds a lock there, which the kernel takes from a process that is killed. What does
not belong here: requests (`app.py`), and opening a browser (`rlstir_assets/cli/live/`).
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import uvicorn

from rlstir_core.atomic import sweep, write_json
from rlstir_core.errors import ConfigError
from rlstir_core.live.serving.app import LiveState, live_app
from rlstir_core.live.serving.limits import LiveLimits
from rlstir_core.live.serving.patience import patient
from rlstir_core.live.serving.ring import Ring, RingLimits
from rlstir_core.results.lock import trying

LOOPBACK = "127.0.0.1"
PORT = 8718
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class LiveAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a live view is, and what opens it: the content of `live/address.json`."""

    url: str
    token: str

    @property
    def opened(self) -> str:
        """What a browser opens: the part after # is never sent to anybody."""
        return f"{self.url}/#token={self.token}"


def address_of(folder: Path) -> LiveAddress | None:
    """Where the live view of `folder` is, or was last."""
    try:
        return msgspec.json.decode((folder / "address.json").read_bytes(), type=LiveAddress)
    except (OSError, msgspec.MsgspecError):
        return None


def serve(
    folder: Path,
    *,
    host: str = LOOPBACK,
    port: int = PORT,
    limits: LiveLimits | None = None,
    ring_limits: RingLimits | None = None,
    ready: Callable[[LiveAddress], None] = lambda _: None,
) -> None:
    """Serves until SIGINT or SIGTERM. The token is that of the last time, so that open pages go on.

    ConfigError where another process serves `folder`, or the address cannot be had.
    """
    limits = limits or LiveLimits()
    if not _is_loopback(host) and _is_unspecified(host):
        raise ConfigError(f"host {host} is every address of this machine; name one, or leave --host out for {LOOPBACK}")
    for name in ("uvicorn.error", "uvicorn.asgi"):
        logging.getLogger(name).addHandler(logging.NullHandler())  # what is refused is answered, not told here
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (
        trying(folder / ".lock") as own,
        contextlib.closing(_bound(host, port, folder if not own else None)) as listening,
    ):
        port = listening.getsockname()[1]
        known = address_of(folder)
        token = known.token if known is not None and _TOKEN.fullmatch(known.token) else secrets.token_urlsafe(32)
        address = LiveAddress(url=f"http://{_bracketed(host)}:{port}", token=token)
        sweep(folder, "address.json")
        write_json(folder / "address.json", address)  # in a folder that nobody else may enter
        with contextlib.closing(Ring(folder / "ring", ring_limits)) as ring:
            app, state = live_app(ring, hosts=tuple(_names(host, port)), token=token, limits=limits)
            config = uvicorn.Config(
                app,
                http=patient(limits.head_s),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=limits.connections,
                h11_max_incomplete_event_size=limits.head_bytes,
                timeout_keep_alive=int(limits.head_s),
                timeout_graceful_shutdown=1,
            )
            listening.listen(128)  # whoever is told of it may connect
            _Server(config, state, lambda: ready(address)).run(sockets=[listening])


def _bound(host: str, port: int, taken: Path | None) -> socket.socket:
    if taken is not None:
        known = address_of(taken)
        at = f", at {known.url}" if known else ""
        raise ConfigError(f"a live view of {taken.parent} runs already{at}; use that one, or close it first")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise ConfigError(
            f"port {port} of {host} cannot be used ({getattr(error, 'strerror', None) or error}); close what uses it, "
            f"or name another with --port {port % 65535 + 1}"
        ) from None
    return listening


def _names(host: str, port: int) -> Iterator[str]:
    """The values of Host by which a browser reaches this address."""
    yield f"{_bracketed(host)}:{port}"
    if _is_loopback(host):
        yield f"localhost:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Server(uvicorn.Server):
    """Lets watchers go when it ends: a stream of events has no end of its own.

    It says that it is ready once signals are its own: whoever is told may end it at once.
    """

    def __init__(self, config: uvicorn.Config, state: LiveState, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._state = state
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._state.closing = True
        self._state.wake()
        await super().shutdown(sockets)
