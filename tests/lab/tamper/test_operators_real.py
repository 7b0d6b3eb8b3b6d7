"""Operators on logs that nobody here wrote: the truth is exact there too."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
from tamper_logs import NEAR, REAL, assert_exact

from rlstir_core.errors import ConfigError
from rlstir_core.lab.tamper.apply import OPERATORS, applicable, tampered

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real logs are not beside this checkout")


def evtx_files() -> Iterator[tuple[str, bytes]]:
    """Every twentieth file of the corpus, and none of the largest."""
    with tarfile.open(REAL / "evtx_mdecrevoisier.tar.xz") as archive:
        n = 0
        for info in archive:
            if info.name.endswith(".evtx"):
                n += 1
                member = archive.extractfile(info)
                if n % 20 == 3 and info.size < 1_200_000 and member is not None:
                    yield info.name, member.read()


def mordor(name: str) -> bytes:
    path = next((REAL / "mordor").rglob(name))
    with zipfile.ZipFile(path) as archive:
        return archive.read(archive.namelist()[0])


def head(data: bytes, n: int = 60) -> bytes:
    return b"".join(line + b"\n" for line in data.split(b"\n")[:n])


def real_logs() -> dict[str, dict[str, bytes]]:
    found = {
        "openssh": {"logs/auth.log": next((REAL / "loghub" / "OpenSSH").glob("*.log")).read_bytes()[:20_000]},
        "mordor-psexec": {"logs/sysmon.jsonl": head(mordor("cmd_psexec_lsa_secrets_dump.zip"), 160)},
        "mordor-dump": {"logs/sysmon.jsonl": head(mordor("cmd_lsass_memory_dumpert_syscalls.zip"))},
    }
    for path in sorted(REAL.glob("linux_audit_*/*.log")):
        if "secure" not in path.name:
            found[f"{path.parent.name}/{path.name}"] = {"logs/audit.log": path.read_bytes()}
    with tarfile.open(REAL / "splunk_attack_data" / "T1047" / "attack_data.tar.gz") as archive:
        member = archive.extractfile(archive.getmembers()[0])
        assert member is not None
        found["splunk"] = {"logs/sysmon.jsonl": b"".join(member.readline() for _ in range(100))}
    return found


def run(logs: dict[str, bytes], seeds: range) -> int:
    n = 0
    for operator in OPERATORS:
        for seed in seeds:
            dice = np.random.default_rng(seed)
            try:
                made = tampered(logs, operator, dice, strength=0.2 + 0.3 * seed, near_ns=NEAR)
            except ConfigError as error:
                assert "cannot apply to" in str(error)
                continue
            assert_exact(logs, made.logs, made.origin, made.spans, operator)
            n += 1
    return n


def test_the_truth_is_exact_on_text_logs_of_others() -> None:
    n = {name: run(logs, range(2)) for name, logs in real_logs().items()}
    assert n["openssh"] >= 12 and n["splunk"] >= 20 and n["linux_audit_golibaudit/audit-rhel7.log"] >= 16


def test_the_truth_is_exact_on_evtx_files_of_others_which_become_json_lines() -> None:
    n = 0
    for _, data in evtx_files():
        logs = {"logs/x.evtx": data}
        n += run(logs, range(1))
        for operator in applicable(logs)[:1]:
            assert list(tampered(logs, operator, np.random.default_rng(0)).logs) == ["logs/sysmon.jsonl"]
    assert n >= 40
