"""The files of a guest as PATH records show them: inode, device, mode and owner, which follow what happens to a file.

What does not belong here: which system call touches which file (`audit.py`).
"""

from __future__ import annotations

import zlib

import msgspec

from rlstir_core.lab.writers.linux.numbers import untrusted
from rlstir_core.lab.writers.linux.scene import LinuxScene

_MEMORY = {"/proc/": "00:16", "/sys/": "00:17", "/dev/": "00:06", "/run/": "00:1a", "/dev/shm/": "00:1c"}  # noqa: S108
_PROGRAMS = ("/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/local/bin/", "/usr/lib/systemd/", "/usr/libexec/")
_MODES = {
    "/etc/shadow": 0o100640,
    "/etc/gshadow": 0o100640,
    "/etc/sudoers": 0o100440,
    "/tmp": 0o041777,  # noqa: S108
    "/var/tmp": 0o041777,  # noqa: S108
    "/dev/shm": 0o041777,  # noqa: S108
    "/root": 0o040700,
    "/var/log/audit": 0o040750,
}
_SETUID = tuple(f"/usr/bin/{name}" for name in ("sudo", "su", "passwd", "chsh", "chfn", "newgrp", "gpasswd", "mount"))
_DEVICES = {
    "/dev/null": "01:03",
    "/dev/zero": "01:05",
    "/dev/random": "01:08",
    "/dev/urandom": "01:09",
    "/dev/tty": "05:00",
}
_CAPS = " cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"


class _File(msgspec.Struct, gc=False):
    inode: int
    dev: str
    mode: int
    uid: int
    rdev: str = "00:00"


class Files:
    """What is known of each path."""

    def __init__(self, scene: LinuxScene) -> None:
        self._scene = scene
        self._disk = ("08:01", "fd:00", "103:02", "fc:01")[zlib.crc32(scene.guest.name.encode()) % 4]
        self._held: dict[str, _File] = {}
        accounts = (*scene.guest.users, *scene.guest.services.values())
        self._homes = [(f"{each.home}/", each.uid) for each in accounts if each.home and each.uid]
        self._n_made = 0

    def record(self, item: int, name: str, path: str, nametype: str, folder: bool = False) -> str:
        """The PATH record of `path`, which the program called `name`."""
        file = self._held.get(path) or self._add(path, folder)
        enriched = ""
        if self._scene.guest.enriched:
            owner = self._scene.name_of(file.uid)
            enriched = f'\x1dOUID="{owner}" OGID="{owner}"'
        return (
            f"type=PATH msg=audit(\0): item={item} name={untrusted(name)} inode={file.inode} dev={file.dev} "
            f"mode=0{file.mode:o} "
            f"ouid={file.uid} ogid={file.uid} rdev={file.rdev} nametype={nametype}{_CAPS}{enriched}\n"
        )

    def executed(self, item: int, path: str) -> str:
        """The PATH record of a program that runs, so one may execute it."""
        file = self._held.get(path) or self._add(path, False)
        file.mode |= 0o111
        return self.record(item, path, path, "NORMAL")

    def create(self, path: str, uid: int, mode: int) -> None:
        """A file that was not there, or another one of that name."""
        file = self._add(path, False)
        self._n_made += 1
        self._held[path] = _File(file.inode + 7 * self._n_made, file.dev, mode, uid)

    def change(self, path: str, mode: int) -> None:
        """New permissions."""
        file = self._held.get(path) or self._add(path, False)
        file.mode = file.mode & 0o170000 | mode & 0o7777

    def delete(self, path: str) -> None:
        """The name is free."""
        self._held.pop(path, None)

    def move(self, path: str, to: str) -> None:
        """The file keeps its inode under another name."""
        file = self._held.get(path) or self._add(path, False)
        del self._held[path]
        self._held[to] = file

    def _add(self, path: str, folder: bool) -> _File:
        dev = next((dev for start, dev in _MEMORY.items() if path.startswith(start)), self._disk)
        number = zlib.crc32(path.encode("utf-8", "surrogateescape"), zlib.crc32(self._scene.guest.name.encode()))
        number = number % 3_000_000 + 131_073 if dev == self._disk else number % 30_000 + 4
        file = self._held[path] = _File(number, dev, _mode(path, folder), self._owner(path))
        if path in _DEVICES:
            file.mode, file.rdev = 0o020666, _DEVICES[path]
        return file

    def _owner(self, path: str) -> int:
        for home, uid in self._homes:
            if path.startswith(home) or path == home[:-1]:
                return uid
        return 0


def _mode(path: str, folder: bool) -> int:
    if path in _MODES:
        return _MODES[path]
    if folder:
        return 0o040750 if path.startswith("/home/") and path.count("/") == 2 else 0o040755
    if path.startswith(("/proc/", "/sys/")):
        return 0o100444
    if path in _SETUID:
        return 0o104755
    if path.startswith(_PROGRAMS) or "/.ssh/" in path:
        return 0o100600 if "/.ssh/" in path else 0o100755
    return 0o100644
