"""What `{name}` stands for in a text of the lab's life: people, places, files, made-up words.

A name that a story or job declares is drawn once for all of it; one of the pools is drawn anew at each use. Attack
and honest work draw from the same pools, so that no address, word or path tells one from the other. What does not
belong here: the pools themselves (`<os>/names.toml`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping

import numpy as np

from rlstir_core.lab.machine.guest import Guest

_NAME = re.compile(r"\{(\w+)\}")
_DEEP = 6  # names inside names
_HEX = "0123456789abcdef"


class Names:
    """The names of one story or job."""

    def __init__(
        self,
        guest: Guest,
        pools: Mapping[str, tuple[str, ...]],
        declared: Mapping[str, tuple[str, ...]],
        rng: np.random.Generator,
    ) -> None:
        self._guest, self._pools, self._rng = guest, pools, rng
        people = guest.users
        user = people[int(rng.integers(len(people)))]
        self.account = user
        self._fixed = {
            "user": user.name,
            "home": user.home,
            "admin": people[0].name,
            "adminhome": people[0].home,
            "roothome": guest.root.home,
            "host": guest.name.partition(".")[0],
            "ip": guest.ip,
            "gateway": guest.gateway,
            "domain": guest.domain,
            "kernel": guest.kernel,
            "sid": user.sid,
            "adminsid": people[0].sid,
        }
        for name, texts in declared.items():
            self._fixed[name] = self.of(texts[int(rng.integers(len(texts)))])

    def of(self, text: str) -> str:
        """`text` with its names filled in."""
        for _ in range(_DEEP):
            if "{" not in text:
                break
            filled = _NAME.sub(self._one, text)
            if filled == text:
                break
            text = filled
        return text

    def address(self, host: str) -> str:
        """The address of a host name: the same for the same name."""
        if host.replace(".", "").isdigit():
            return host
        digest = hashlib.sha256(host.encode()).digest()
        return f"198.{18 + digest[0] % 2}.{digest[1]}.{1 + digest[2] % 254}"

    def _one(self, match: re.Match[str]) -> str:
        name = match[1]
        fixed = self._fixed.get(name)
        if fixed is not None:
            return fixed
        pool = self._pools.get(name)
        if pool is not None:
            return pool[int(self._rng.integers(len(pool)))]
        return self._made(name) or match[0]

    def _made(self, name: str) -> str:
        maker = _MAKERS.get(name)
        return maker(self, self._guest, self._rng) if maker else ""


def _encoded(names: Names, guest: Guest, rng: np.random.Generator) -> str:
    return base64.b64encode(names.of("{shell_text}").encode("utf-16-le")).decode()


# Made anew at each use.
_MAKERS: dict[str, Callable[[Names, Guest, np.random.Generator], str]] = {
    "n": lambda names, guest, rng: str(int(rng.integers(1, 100))),
    "id": lambda names, guest, rng: str(int(rng.integers(1000, 10_000))),
    "hex": lambda names, guest, rng: "".join(_HEX[i] for i in rng.integers(0, 16, 8)),
    "peer": lambda names, guest, rng: f"{guest.ip.rpartition('.')[0]}.{int(rng.integers(2, 250))}",
    "outside": lambda names, guest, rng: ".".join(
        ("198", str(int(rng.integers(18, 20))), str(int(rng.integers(0, 256))), str(int(rng.integers(1, 255))))
    ),
    "b64": _encoded,  # as PowerShell's -EncodedCommand takes it
}
