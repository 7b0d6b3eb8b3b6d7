"""What the programs of ssh say is understood: a file that is not there, one that is refused, a link that broke."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rlstir_core.sync.pace import Pace
from rlstir_core.sync.sources import LinkCut, NotThere, Unfit
from rlstir_core.sync.ssh import Ssh

SFTP = """#!/bin/sh
while [ "$1" != -b ]; do shift; done
eval "set -- $(sed 's/^get //' "$2")"
"""
PROGRAMS = {
    "ssh": '#!/bin/sh\necho "$@" >> "$0.said"\n[ -z "$REMOTE" ] || { echo refused >&2; exit "$REMOTE"; }\n',
    "rsync": '#!/bin/sh\nfor to in "$@"; do from=$last; last=$to; done\nset -- "${from##*:}" "$to"\n',
    "sftp": SFTP,
}


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ssh]:
    """A source behind programs that do what `script` says with a path there ($1) and one here ($2)."""

    def having(remote: str, script: str, pace: Pace | None = None) -> Ssh:
        for name, head in PROGRAMS.items():
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(head if name == "ssh" else f"{head}{script}\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        monkeypatch.setenv("REMOTE", remote)
        return Ssh(f"ssh://me@[::1]:22{tmp_path}/there", pace or Pace(50_000_000))

    return having


@pytest.mark.parametrize("remote", ["", "1"], ids=["rsync", "sftp"])
def test_a_file_comes_and_too_much_of_one_is_cut_off(said: Callable[..., Ssh], tmp_path: Path, remote: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/f").write_bytes(b"x" * 500)
    to = tmp_path / 'to "here"' / "file"
    to.parent.mkdir()
    with said(remote, 'cat "$1" > "$2"') as source:
        source.fetch("f", to, 500, lambda _: None)
    assert to.read_bytes() == b"x" * 500
    assert "-O exit me@::1" in (tmp_path / "bin/ssh.said").read_text()
    with said(remote, 'head -c 9000 /dev/zero > "$2"; exec sleep 60') as source:
        source.fetch("f", to, 500, lambda _: None)  # ends at once, for it asks no more of the program
    assert to.stat().st_size == 9_000


@pytest.mark.parametrize(("remote", "limit"), [("", "--bwlimit=97 "), ("1", "-l 781 ")], ids=["rsync", "sftp"])
def test_the_programs_are_told_the_rate_and_many_small_files_keep_it_too(
    said: Callable[..., Ssh], tmp_path: Path, remote: str, limit: str
) -> None:
    naps, to = list[float](), tmp_path / "file"
    pace = Pace(100_000, lambda: sum(naps), naps.append)  # the programs take no time
    with said(remote, 'head -c 5000 /dev/zero > "$2"', pace) as source:
        for name in ("rsync", "sftp"):
            program = tmp_path / "bin" / name
            program.write_text(program.read_text().replace("\n", '\necho "$@ " >> "$0.told"\n', 1))
        for _ in range(4):
            source.fetch("f", to, 5_000, lambda _: None)
    assert sum(naps) == pytest.approx(4 * 5_000 / 100_000)
    assert (tmp_path / "bin" / f"{'sftp' if remote else 'rsync'}.told").read_text().count(limit) == 4


@pytest.mark.parametrize(
    ("remote", "script", "error"),
    [
        ("255", "exit 0", LinkCut),
        ("", 'echo "rsync: link_stat failed: No such file or directory (2)" >&2; exit 23', NotThere),
        ("", 'echo "rsync: send_files failed to open: Permission denied (13)" >&2; exit 23', Unfit),
        ("", 'echo "skipping non-regular file \\"f\\""', Unfit),
        ("", 'echo "rsync: connection unexpectedly closed" >&2; exit 12', LinkCut),
        ("", 'echo "rsync: write failed: No space left on device (28)" >&2; exit 11', OSError),
        ("1", 'echo "File \\"$1\\" not found." >&2; exit 1', NotThere),
        ("1", 'echo "remote open \\"$1\\": Permission denied" >&2; exit 1', Unfit),
        ("1", 'echo "me@host: Permission denied (publickey)." >&2; exit 255', LinkCut),
        ("1", "exit 255", LinkCut),
    ],
)
def test_what_the_programs_say_is_understood(
    said: Callable[..., Ssh], tmp_path: Path, remote: str, script: str, error: type[Exception]
) -> None:
    to = tmp_path / "file"
    to.touch()
    with said(remote, script) as source, pytest.raises(error):
        source.fetch("f", to, 500, lambda _: None)
