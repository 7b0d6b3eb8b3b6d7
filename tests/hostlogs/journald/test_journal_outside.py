"""300 odd entries in a real journal file: what `journalctl` prints of it in each form, and what its own JSON says.

Skipped where `journalctl` or `systemd-journal-remote` is not installed.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.hostlogs.journald.parser import SPEC
from rlstir_core.hostlogs.opening.recognise import recognise
from rlstir_core.hostlogs.schema import LogContext, LogRow

REMOTE = "/usr/lib/systemd/systemd-journal-remote"
FORMS = ("json", "json-pretty", "json-seq", "json-sse", "export")
N = 300
pytestmark = pytest.mark.skipif(
    shutil.which("journalctl") is None or not Path(REMOTE).exists(), reason="journalctl or journal-remote is not there"
)
ODD = [
    b"plain", "gr\u00fc\u00dfe \u2603".encode(), b"a\xff\xfeb", b"tab\there", b"end\r",
    b"two\nlines\n\nand __CURSOR=s=1\n_UID=0", b"\x1b[31mred\x1b[0m", b'{"MESSAGE": "x"}', b"nul\0inside", b" blanks ",
    b"\x1e", b"x" * 5000, b"\\ \" '", b"1", b"-- No --",
]  # fmt: skip


def mutated(seed: int) -> bytes:
    """An entry of the export format."""
    rng = random.Random(seed)
    fields: list[tuple[str, bytes]] = [
        ("_PID", str(rng.randrange(1, 99_999)).encode()), ("_UID", b"1000"),
        ("_HOSTNAME", rng.choice([b"web1", b"Web-2.lab"])),
        ("SYSLOG_IDENTIFIER", rng.choice([b"sshd", b"cron", "d\u00e4mon".encode()])), ("PRIORITY", b"6"),
        ("_EXE", b"/usr/sbin/sshd"),
        ("_CMDLINE", rng.choice(ODD)), ("MESSAGE", rng.choice(ODD)),
    ]  # fmt: skip
    fields = [field for field in fields if rng.random() < 0.85]
    fields += [(f"NOTE_{rng.randrange(3)}", rng.choice(ODD)) for _ in range(rng.randrange(4))]
    if rng.random() < 0.3:
        fields.append(("MESSAGE", rng.choice(ODD)))
    at = 1_714_557_600_000_000 + seed * 1_000_000
    out = b"__CURSOR=s=1;i=%x\n__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n" % (seed + 1, at, seed)
    out += b"_BOOT_ID=3cbc5a46c3e34bd5b0a3f3a3a3d8e2f1\n"
    if rng.random() < 0.5:
        fields.append(("_SOURCE_REALTIME_TIMESTAMP", str(at - 77).encode()))
    for key, value in fields:
        plain = value.decode(errors="replace").isprintable() and b"\xff" not in value and b"\n" not in value
        out += key.encode() + (b"=" + value if plain else b"\n" + struct.pack("<Q", len(value)) + value) + b"\n"
    return out + b"\n"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("journal")
    journal = folder / "made.journal"
    entries = b"".join(map(mutated, range(N)))
    subprocess.run([REMOTE, "-o", journal, "-"], input=entries, check=True, capture_output=True)
    call = ["journalctl", f"--file={journal}", "--no-pager", "--quiet", "--all", "-o"]
    return {form: subprocess.run([*call, form], check=True, capture_output=True).stdout for form in FORMS}


def read(log: bytes) -> list[LogRow]:
    rows = list(SPEC.read((log[at : at + 777] for at in range(0, len(log), 777)), LogContext(host="here")))
    assert all(row.parsed and row.timed for row in rows)
    return rows


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_rows_and_fields_of_the_others(printed: dict[str, bytes], form: str) -> None:
    assert recognise(printed[form][: 1 << 16]).log == "journald"
    rows, plain = read(printed[form]), read(printed["json"])
    assert len(rows) == len(plain) == N
    for row, other in zip(rows, plain, strict=True):
        ours, theirs = json.loads(row.fields_json), json.loads(other.fields_json)
        assert unordered(ours) == unordered(theirs)
        names = ("ts_ns", "host", "pid", "exe", "cmdline", "user", "provider", "event_id", "message")
        repeated = isinstance(theirs.get("MESSAGE"), list)  # journalctl gives several values in an order of its own
        assert [getattr(row, name) for name in names[: -1 if repeated else None]] == [
            getattr(other, name) for name in names[: -1 if repeated else None]
        ]


def unordered(fields: dict[str, Any]) -> dict[str, Any]:
    fields.pop("said", None)
    return {key: sorted(map(str, value)) if isinstance(value, list) else value for key, value in fields.items()}


def test_rows_say_what_journalctls_own_json_says(printed: dict[str, bytes]) -> None:
    """Read again by code of this test's own: Python's `json`, and bytes as journalctl writes them."""
    rows = read(printed["json"])
    for row, line in zip(rows, printed["json"].splitlines(), strict=True):
        entry, kept = json.loads(line), json.loads(row.fields_json)
        us = int(entry.get("_SOURCE_REALTIME_TIMESTAMP") or entry["__REALTIME_TIMESTAMP"])
        assert row.ts_ns == us * 1000
        assert row.host_said == (entry.get("_HOSTNAME") or "here")
        assert (row.pid, row.exe) == (int(entry.get("_PID", -1)), entry.get("_EXE", ""))
        for key, value in entry.items():
            assert raw(kept[key]) == raw(value), key
        message = entry.get("MESSAGE", "")
        if isinstance(message, str) and message.isprintable() and len(message) < 4096:
            assert row.message == message
    assert len({row.message for row in rows}) >= len(ODD)


def raw(value: Any) -> Any:
    """The bytes of a value in journalctl's JSON or in ours; of several, each."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return [raw(each) for each in value]
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    return bytes(value) if isinstance(value, list) else value.encode()
