"""Over a real ssh server on loopback, started here: by rsync where it is, by sftp where nothing else is allowed."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rlstir_core.episodes.store.index import read_index
from rlstir_core.sync.run import Synced, sync_episodes
from rlstir_core.sync.sources import source_of

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SSHD is None, reason="sshd is not installed (Debian: openssh-server)"),
    pytest.mark.skipif(shutil.which("sftp") is None, reason="sftp is not installed (Debian: openssh-client)"),
]


@dataclass
class Server:
    """An ssh server, and how often it was connected to."""

    port: int
    log: Path

    def url(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    @property
    def logins(self) -> int:
        return self.log.read_text().count("Accepted publickey")


@pytest.fixture(params=["any command", "sftp alone"])
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    if request.param == "any command" and shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    home = tmp_path / "sshd"
    home.mkdir(mode=0o700)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / key], check=True)
    shutil.copy(home / "user.pub", home / "authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"ListenAddress 127.0.0.1:{port}", f"HostKey {home}/host", f"AuthorizedKeysFile {home}/authorized"]
    options += ["StrictModes no", "UsePAM no", "PidFile none", "Subsystem sftp internal-sftp", "PermitRootLogin yes"]
    options += ["ForceCommand internal-sftp"] if request.param == "sftp alone" else []
    (home / "sshd_config").write_text("\n".join(options) + "\n")
    (home / "ssh_config").write_text(f"IdentityFile {home}/user\nUserKnownHostsFile {home}/known\n")
    with (home / "ssh_config").open("a") as config:
        config.write("StrictHostKeyChecking accept-new\n")
    (home / "bin").mkdir()  # a user has this in ~/.ssh/config, which no test may touch
    (home / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {home}/ssh_config "$@"\n')
    (home / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}/bin:{os.environ['PATH']}")
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    running = subprocess.Popen([SSHD, "-D", "-f", home / "sshd_config", "-E", home / "log"])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Server(port, home / "log")
    finally:
        running.terminate()
        running.wait(10)


def run(url: str, store: Path, rate: int = 0) -> Synced:
    return sync_episodes(source_of(url, rate), store, sleep=lambda _: None)


def test_episodes_come_over_one_connection_and_what_is_wrong_with_one_is_said(
    server: Server, fill: Callable[..., Path], tmp_path: Path
) -> None:
    source, store = fill(tmp_path / "source", n=6), tmp_path / "store"
    episodes = source / "episodes" / "web1"
    (episodes / "ep-001.tar.zst").unlink()
    (episodes / "ep-002.tar.zst").write_bytes(b"x" * 4_000)
    (episodes / "ep-003.tar.zst").write_bytes(b"x" * 3_000_000)
    made = run(server.url(source), store)
    assert (made.fetched, made.left.n, made.refused.n, made.cuts) == (3, 3, 0, 0), made
    for name, why in (("ep-001", "is not there"), ("ep-002", "sha256"), ("ep-003", "bytes and more came")):
        assert any(name in text and why in text for text in made.left.first), made.left.first
    assert server.logins == 1
    fill(source, n=6)
    again = run(server.url(source), store)
    assert (again.fetched, again.there_already, again.exit_code) == (3, 3, 0)
    assert (store / "index.jsonl").read_bytes().count(b"\n") == 6 and not read_index(store).faults
    assert not list(store.rglob(".tmp-*"))
