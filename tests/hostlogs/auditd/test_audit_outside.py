"""300 odd audit logs through `ausearch`, raw and interpreted: the same events, and the same in them.

Skipped where `ausearch` is not installed; locales that are not installed are passed over.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.hostlogs.auditd.parser import SPEC
from rlstir_core.hostlogs.auditd.twins import raw_times, twin_reading
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.times.reading import LogEvidence, LogReading

AUSEARCH = shutil.which("ausearch") or "/usr/sbin/ausearch"
pytestmark = pytest.mark.skipif(not Path(AUSEARCH).exists(), reason="ausearch is not there")
N = 300
_LOCALE_WORDS = (
    "C en_US en_GB en_CA en_IN en_HK en_PH de_DE de_AT fr_FR fr_CH es_ES it_IT nl_NL sv_SE da_DK fi_FI nb_NO "
    "is_IS pl_PL cs_CZ sk_SK hu_HU ro_RO ru_RU uk_UA tr_TR el_GR pt_BR ja_JP ko_KR zh_CN zh_TW th_TH vi_VN "
    "ms_MY he_IL ar_EG ar_SY fa_IR hi_IN ne_NP or_IN lt_LT lv_LV et_EE"
)
LOCALES = _LOCALE_WORDS.split()
ODD = [
    "plain", "two words", 'quo"te', "gr\u00fc\u00dfe", "tab\t", "nl\nx", "a=b pid=1", "'", "{x}", "(null)",
    "\u00e9" * 30, "type=SYSCALL msg=audit(1.0:1):",
]  # fmt: skip
ADDRESSES = [
    "02000050C0A800010000000000000000",
    "0A000016000000000000000000000000000000000000000100000000",
    "01002F72756E2F7800000000",
]


def value(text: str) -> str:
    """As the kernel writes a text: hex where it holds more than plain ASCII."""
    return f'"{text}"' if all(33 <= ord(char) < 127 and char != '"' for char in text) else text.encode().hex().upper()


def event(rng: random.Random, serial: int, ms: int) -> list[str]:
    def record(kind: str, body: str) -> str:
        return f"type={kind} msg=audit({ms // 1000}.{ms % 1000:03}:{serial}): {body}"

    kind = rng.choice(["login", "execve", "openat", "connect"])
    pid, ppid = rng.randrange(2, 30_000), rng.randrange(1, 30_000)
    if kind == "login":
        said = (
            f'op=login acct={value(rng.choice(ODD))} exe="/usr/sbin/sshd" hostname=? addr=10.0.0.7 terminal=sshd res='
        )
        result = rng.choice(["success", "failed"])
        return [record("USER_LOGIN", f"pid={pid} uid=0 auid=4294967295 ses=4294967295 msg='{said}{result}'")]
    number, ok = {"execve": 59, "openat": 257, "connect": 42}[kind], rng.random() < 0.7
    code = rng.choice([0, 3] if ok else [-13, -115])
    texts = {
        "comm": rng.choice(ODD)[:15],
        "exe": "/opt/" + rng.choice(["id", "my app"]),
        "key": rng.choice(["", "exec"]),
    }
    said = " ".join(f"{key}={value(text) if text else '(null)'}" for key, text in texts.items())
    result = "yes" if ok else "no"
    call = f"arch=c000003e syscall={number} success={result} exit={code} a0=ffffff9c a1=7 a2=0 a3=0 items=2 "
    ids = f"ppid={ppid} pid={pid} auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 "
    made = [record("SYSCALL", call + ids + said)]
    if kind == "execve":
        words = [value(rng.choice(ODD)) for _ in range(rng.randrange(1, 4))]
        made.append(
            record("EXECVE", " ".join([f"argc={len(words)}", *(f"a{n}={word}" for n, word in enumerate(words))]))
        )
    if kind == "connect":
        made.append(record("SOCKADDR", f"saddr={rng.choice(ADDRESSES)}"))
    else:
        made.append(record("CWD", f"cwd={value(rng.choice(['/', '/home/a b']))}"))
        for n in range(2):
            name, named = value("/etc/" + rng.choice(ODD)), rng.choice(["NORMAL", "PARENT", "CREATE"])
            at = f"inode={n + 7} dev=08:01 mode=0100644 ouid=0 ogid=0 rdev=00:00"
            made.append(record("PATH", f"item={n} name={name} {at} nametype={named}"))
    if rng.random() < 0.7:
        made.append(record("PROCTITLE", "proctitle=" + b"id\0-u".hex().upper()))
    if rng.random() < 0.2:
        del made[rng.randrange(len(made))]
    return made


def mutated(seed: int) -> str:
    """A log of a few events, of every second some lines are gone, twice, cut or a comment."""
    rng = random.Random(seed)
    ms, serial, lines = 1_715_421_600_123, rng.randrange(1, 10**6), list[str]()
    for _ in range(rng.randrange(2, 9)):
        lines += event(rng, serial, ms)
        serial += rng.choice([1, 1, 2])
        ms += rng.choice([3, 50, 900, 5000, 86_400_000])
    for _ in range(rng.randrange(3) if seed % 2 else 0):
        at = rng.randrange(len(lines))
        line = lines[at]
        cut = line[: rng.randrange(20, 300)].rpartition(" ")[0]
        lines[at : at + 1] = rng.choice([[], [line, line], [cut], ["# note", line]])
        lines = lines or [""]
    return "\n".join(lines) + "\n"


def ausearch(path: Path, form: str, locale: str = "C") -> bytes:
    env = {"PATH": os.environ["PATH"], "LC_ALL": locale, "TZ": "Asia/Tokyo"}
    return subprocess.run([AUSEARCH, "-if", path, form], env=env, capture_output=True, check=False).stdout


def read(log: bytes, reading: LogReading) -> dict[int, LogRow]:
    rows = [row for row in SPEC.read([log], LogContext(reading=reading)) if row.parsed]
    return {json.loads(row.fields_json)["serial"]: row for row in rows}


def told(row: LogRow) -> dict[str, Any]:
    """What both name: ausearch -i shows a control character by its number."""
    fields = json.loads(re.sub(r"\\\\0(\d\d)", lambda found: f"\\u00{int(found[1], 8):02x}", row.fields_json))
    paths = [(path["path"], path["nametype"], path.get("inode")) for path in fields.get("paths", ())]
    same = {key: fields.get(key) for key in ("syscall", "result", "exit", "cwd", "args", "sockaddr", "keys")}
    types = sorted(record["type"] for record in fields["records"])
    return {"id": row.event_id, "ids": (row.pid, row.ppid), "exe": row.exe, "paths": paths, "types": types} | same


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


def test_ausearch_finds_the_events_that_we_find_and_says_the_same_of_them(folder: Path) -> None:
    n_events, path = 0, folder / "audit.log"
    for seed in range(N):
        path.write_text(mutated(seed))
        ours = read(path.read_bytes(), LogReading())
        for form, reading in (("-r", LogReading()), ("-i", LogReading(zone="Asia/Tokyo", order="mdy"))):
            log = ausearch(path, form)
            assert not SPEC.surveyed([log], LogEvidence()).order.replace("mdy", "")
            theirs = read(log, reading)
            # it leaves an event out of which a line is cut; we show the rest
            lost = ours.keys() - theirs.keys()
            assert theirs.keys() <= ours.keys() and (not lost or seed % 2), seed
            n_events += len(theirs)
            for serial, row in theirs.items():
                assert told(row) == told(ours[serial]), (seed, form, serial)
                assert row.ts_ns == ours[serial].ts_ns
                assert row.assumed == ""
        for found in re.finditer(rb"type=SYSCALL msg=audit\(([^)]*):(\d+)\) : (.*)", log):
            row = ours[int(found[2])]
            plain = dict(re.findall(r"\b(ppid|pid|syscall|success)=(\S+)", found[3].decode().partition(" comm=")[0]))
            fields = json.loads(row.fields_json)
            ids = plain.get("pid", str(row.pid)), plain.get("ppid", str(row.ppid))
            assert ids == (str(row.pid), str(row.ppid))
            assert plain.get("syscall", fields["syscall"]) == fields["syscall"]
            assert ("success" in plain) <= (
                {"yes": "success", "no": "fail"}[plain.get("success", "yes")] == fields.get("result")
            )
    assert n_events > 2 * 3 * N


def test_dates_of_every_installed_locale_give_the_times_of_the_raw_log(folder: Path) -> None:
    path = folder / "days.log"
    rng = random.Random(1)
    days = [event(rng, 100 + day, 1_715_421_600_123 + day * 86_400_000) for day in range(3)]
    path.write_text("".join("\n".join(lines) + "\n" for lines in days))
    installed = set(subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split())
    wanted = {serial: row.ts_ns for serial, row in read(path.read_bytes(), LogReading()).items()}
    n_tried = 0
    for name in LOCALES:
        locale = next((each for each in (f"{name}.utf8", name) if each in installed), "")
        if not locale:
            continue
        log = ausearch(path, "-i", locale)
        reading = SPEC.surveyed([log], LogEvidence(zone="Asia/Tokyo"))
        assert {serial: row.ts_ns for serial, row in read(log, reading).items()} == wanted, locale
        assert not reading.order_assumed
        twin = twin_reading([log], raw_times([path.read_bytes()]), LogReading())
        assert (twin.zone, twin.order) == ("+09:00", reading.order), locale
        n_tried += 1
    assert n_tried >= 1
