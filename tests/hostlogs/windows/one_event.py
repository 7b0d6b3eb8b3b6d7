"""One process creation, for tests that write it as exporters do."""

from __future__ import annotations

from typing import Any

SECURITY = "Microsoft-Windows-Security-Auditing"
SYSMON = "Microsoft-Windows-Sysmon"
EXE, PARENT, CMD = r"C:\Tools\net.exe", r"C:\Windows\System32\cmd.exe", "net user /domain"
SID = "S-1-5-21-7-8-9-1001"
PLACES: list[Any] = [
    SID,
    "mia",
    "CORP",
    4711,
    7300,
    EXE,
    "%%1937",
    3120,
    CMD,
    "S-1-0-0",
    "-",
    "-",
    0,
    PARENT,
    "S-1-16-1",
]
