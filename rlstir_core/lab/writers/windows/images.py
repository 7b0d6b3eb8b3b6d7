"""What the resources and signatures of well-known Windows images say, and hashes of all others.

What does not belong here: who runs an image.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final, NamedTuple

MICROSOFT: Final = "Microsoft Corporation"
WINDOWS: Final = "Microsoft® Windows® Operating System"


class Resource(NamedTuple):
    """The version resource of an image."""

    version: str = "-"
    description: str = "-"
    product: str = "-"
    company: str = "-"
    original: str = "-"


_NONE = Resource()
_PROGRAMS = (".exe", ".dll", ".sys", ".scr", ".ocx", ".cpl")
# of Windows itself: description and original file name
_SYSTEM: dict[str, tuple[str, str]] = {
    "arp.exe": ("TCP/IP Arp Command", "arp.exe"),
    "at.exe": ("Schedule service command line interface", "AT.EXE"),
    "attrib.exe": ("Attribute Utility", "ATTRIB.EXE"),
    "auditpol.exe": ("Audit Policy Program", "AUDITPOL.EXE"),
    "backgroundtaskhost.exe": ("Background Task Host", "backgroundTaskHost.exe"),
    "bcdedit.exe": ("Boot Configuration Data Editor", "bcdedit.exe"),
    "bitsadmin.exe": ("BITS administration utility", "bitsadmin.exe"),
    "calc.exe": ("Windows Calculator", "CALC.EXE"),
    "certutil.exe": ("CertUtil.exe", "CertUtil.exe"),
    "cipher.exe": ("File Encryption Utility", "CIPHER.EXE"),
    "cmd.exe": ("Windows Command Processor", "Cmd.Exe"),
    "compattelrunner.exe": ("Microsoft Compatibility Telemetry", "CompatTelRunner.exe"),
    "conhost.exe": ("Console Window Host", "CONHOST.EXE"),
    "consent.exe": ("Consent UI for administrative applications", "consent.exe"),
    "cscript.exe": ("Microsoft ® Console Based Script Host", "cscript.exe"),
    "csrss.exe": ("Client Server Runtime Process", "CSRSS.Exe"),
    "ctfmon.exe": ("CTF Loader", "CTFMON.EXE"),
    "defrag.exe": ("Disk Defragmenter Module", "Defrag.EXE"),
    "dllhost.exe": ("COM Surrogate", "dllhost.exe"),
    "dwm.exe": ("Desktop Window Manager", "dwm.exe"),
    "esentutl.exe": ("Extensible Storage Engine Utilities for Microsoft(R) Windows(R)", "esentutl.exe"),
    "explorer.exe": ("Windows Explorer", "EXPLORER.EXE"),
    "find.exe": ("Find String (grep) Utility", "FIND.EXE"),
    "findstr.exe": ("Find String (QGREP) Utility", "FINDSTR.EXE"),
    "fodhelper.exe": ("Features On Demand Helper", "FodHelper.EXE"),
    "fsutil.exe": ("fsutil.exe", "fsutil.exe"),
    "gpupdate.exe": ("Microsoft® Group Policy Update Utility", "GPUpdate.exe"),
    "hostname.exe": ("Hostname APP", "hostname.exe"),
    "icacls.exe": ("", "iCACLS.EXE"),
    "ipconfig.exe": ("IP Configuration Utility", "ipconfig.exe"),
    "lsass.exe": ("Local Security Authority Process", "lsass.exe"),
    "makecab.exe": ("Microsoft® Cabinet Maker", "makecab.exe"),
    "mmc.exe": ("Microsoft Management Console", "mmc.exe"),
    "mshta.exe": ("Microsoft (R) HTML Application host", "MSHTA.EXE"),
    "msiexec.exe": ("Windows® installer", "msiexec.exe"),
    "nbtstat.exe": ("TCP/IP NetBios Information", "nbtinfo.exe"),
    "net.exe": ("Net Command", "net.exe"),
    "net1.exe": ("Net Command", "net1.exe"),
    "netsh.exe": ("Network Command Shell", "netsh.exe"),
    "netstat.exe": ("TCP/IP Netstat Command", "netstat.exe"),
    "nltest.exe": ("Microsoft® Logon Server Test Utility", "nltestrk.exe"),
    "notepad.exe": ("Notepad", "NOTEPAD.EXE"),
    "nslookup.exe": ("nslookup APP", "nslookup.exe"),
    "ping.exe": ("TCP/IP Ping Command", "ping.exe"),
    "powershell.exe": ("Windows PowerShell", "PowerShell.EXE"),
    "quser.exe": ("Query User Utility", "quser.exe"),
    "reg.exe": ("Registry Console Tool", "reg.exe"),
    "regedit.exe": ("Registry Editor", "REGEDIT.EXE"),
    "regsvr32.exe": ("Microsoft(C) Register Server", "REGSVR32.EXE"),
    "robocopy.exe": ("Microsoft Robocopy", "robocopy.exe"),
    "route.exe": ("TCP/IP Route Command", "route.exe"),
    "rundll32.exe": ("Windows host process (Rundll32)", "RUNDLL32.EXE"),
    "runtimebroker.exe": ("Runtime Broker", "RuntimeBroker.exe"),
    "sc.exe": ("Service Control Manager Configuration Tool", "sc.exe"),
    "schtasks.exe": ("Task Scheduler Configuration Tool", "schtasks.exe"),
    "searchindexer.exe": ("Microsoft Windows Search Indexer", "SearchIndexer.exe"),
    "services.exe": ("Services and Controller app", "services.exe"),
    "sihost.exe": ("Shell Infrastructure Host", "sihost.exe"),
    "smss.exe": ("Windows Session Manager", "smss.exe"),
    "spoolsv.exe": ("Spooler SubSystem App", "spoolsv.exe"),
    "sppsvc.exe": ("Microsoft Software Protection Platform Service", "sppsvc.exe"),
    "svchost.exe": ("Host Process for Windows Services", "svchost.exe"),
    "systeminfo.exe": ("Displays system information", "sysinfo.exe"),
    "takeown.exe": ("Takes ownership of a file", "takeown.exe"),
    "taskhostw.exe": ("Host Process for Windows Tasks", "taskhostw.exe"),
    "taskkill.exe": ("Terminates Processes", "taskkill.exe"),
    "tasklist.exe": ("Lists the current running tasks", "tasklist.exe"),
    "taskmgr.exe": ("Task Manager", "Taskmgr.exe"),
    "tiworker.exe": ("Windows Modules Installer Worker", "TiWorker.exe"),
    "trustedinstaller.exe": ("Windows Modules Installer", "TrustedInstaller.exe"),
    "userinit.exe": ("Userinit Logon Application", "USERINIT.EXE"),
    "vssadmin.exe": ("Command Line Interface for Microsoft® Volume Shadow Copy Service", "VSSADMIN.EXE"),
    "w32tm.exe": ("Windows Time Service Diagnostic Tool", "w32time.exe"),
    "wbadmin.exe": ("Command Line Interface for Microsoft® BLB Backup", "WBADMIN.EXE"),
    "werfault.exe": ("Windows Problem Reporting", "WerFault.exe"),
    "wevtutil.exe": ("Eventing Command Line Utility", "wevtutil.exe"),
    "whoami.exe": ("whoami - displays logged on user information", "whoami.exe"),
    "wininit.exe": ("Windows Start-Up Application", "WinInit.exe"),
    "winlogon.exe": ("Windows Logon Application", "WINLOGON.EXE"),
    "wmic.exe": ("WMI Commandline Utility", "wmic.exe"),
    "wmiprvse.exe": ("WMI Provider Host", "Wmiprvse.exe"),
    "wscript.exe": ("Microsoft ® Windows Based Script Host", "wscript.exe"),
    "wsmprovhost.exe": ("Host process for WinRM plug-ins", "wsmprovhost.exe"),
    "wuauclt.exe": ("Windows Update", "wuauclt.exe"),
    "xcopy.exe": ("Extended Copy Utility", "XCOPY.EXE"),
    "advapi32.dll": ("Advanced Windows 32 Base API", "advapi32.dll"),
    "amsi.dll": ("Anti-Malware Scan Interface", "amsi.dll"),
    "bcrypt.dll": ("Windows Cryptographic Primitives Library", "bcrypt.dll"),
    "comsvcs.dll": ("COM+ Services", "COMSVCS.DLL"),
    "dbghelp.dll": ("Windows Image Helper", "DBGHELP.DLL"),
    "kernel32.dll": ("Windows NT BASE API Client DLL", "kernel32"),
    "ntdll.dll": ("NT Layer DLL", "ntdll.dll"),
    "samlib.dll": ("SAM Library DLL", "samlib.dll"),
    "taskschd.dll": ("Task Scheduler COM API", "taskschd.dll"),
    "vaultcli.dll": ("Credential Vault Client Library", "vaultcli.dll"),
    "wbemcomn.dll": ("WMI", "wbemcomn.dll"),
    "winhttp.dll": ("Windows HTTP Services", "winhttp.dll"),
    "wininet.dll": ("Internet Extensions for Win32", "wininet.dll"),
    "ws2_32.dll": ("Windows Socket 2.0 32-Bit DLL", "ws2_32.dll"),
}
_OTHERS: dict[str, Resource] = {
    "7z.exe": Resource("22.01", "7-Zip Console", "7-Zip", "Igor Pavlov", "7z.exe"),
    "chrome.exe": Resource("116.0.5845.111", "Google Chrome", "Google Chrome", "Google LLC", "chrome.exe"),
    "code.exe": Resource("1.81.1", "Visual Studio Code", "Visual Studio Code", MICROSOFT, "electron.exe"),
    "excel.exe": Resource("16.0.16130.20306", "Microsoft Excel", "Microsoft Office", MICROSOFT, "Excel.exe"),
    "firefox.exe": Resource("117.0", "Firefox", "Firefox", "Mozilla Corporation", "firefox.exe"),
    "msedge.exe": Resource("115.0.1901.203", "Microsoft Edge", "Microsoft Edge", MICROSOFT, "msedge.exe"),
    "msmpeng.exe": Resource("4.18.23080.2006", "Antimalware Service Executable", WINDOWS, MICROSOFT, "MsMpEng.exe"),
    "onedrive.exe": Resource("23.147.0716.0001", "Microsoft OneDrive", "Microsoft OneDrive", MICROSOFT, "OneDrive.exe"),
    "outlook.exe": Resource("16.0.16130.20306", "Microsoft Outlook", "Microsoft Outlook", MICROSOFT, "Outlook.exe"),
    "python.exe": Resource("3.11.4", "Python", "Python", "Python Software Foundation", "python.exe"),
    "sysmon.exe": Resource("14.16", "System activity monitor", "Sysinternals Sysmon", "Sysinternals", "-"),
    "sysmon64.exe": Resource("14.16", "System activity monitor", "Sysinternals Sysmon", "Sysinternals", "-"),
    "teams.exe": Resource("1.6.00.22378", "Microsoft Teams", "Microsoft Teams", MICROSOFT, "Teams.exe"),
    "winword.exe": Resource("16.0.16130.20306", "Microsoft Word", "Microsoft Office", MICROSOFT, "WinWord.exe"),
}
_SIGNERS = (("\\google\\", "Google LLC"), ("\\mozilla", "Mozilla Corporation"), ("\\7-zip\\", "Igor Pavlov"))


def base_name(path: str) -> str:
    """The last part of a path."""
    return path[path.rfind("\\") + 1 :]


@lru_cache(maxsize=4096)
def resource(path: str, build: str, version: str) -> Resource:
    """What Sysmon reads from an image: dashes where it is not a file that came with its system or product.

    `version` is that of Windows.
    """
    place, name = path.lower(), base_name(path).lower()
    if build:
        return _NONE
    if name in _OTHERS and "\\windows\\temp" not in place:
        return _OTHERS[name]
    if not place.startswith("c:\\windows\\") or "\\temp\\" in place:
        return _NONE
    if name in _SYSTEM:
        description, original = _SYSTEM[name]
        return Resource(version, description or "-", WINDOWS, MICROSOFT, original)
    if name.endswith((".dll", ".exe", ".sys")) and "\\system32\\" in place:
        return Resource(version, "-", WINDOWS, MICROSOFT, base_name(path))
    return _NONE


@lru_cache(maxsize=8192)
def sha256_of(path: str, build: str, version: str) -> str:
    """The SHA-256 of a file: of its content wherever it lies, and of its path where it came with Windows `version`."""
    known = f"build\0{build}" if build else f"path\0{path.lower()}\0{version}"
    return hashlib.sha256(known.encode()).hexdigest().upper()


@lru_cache(maxsize=8192)
def hashes(path: str, build: str, version: str) -> str:
    """Sysmon's `Hashes`; what is no program has no imports to hash."""
    digest = sha256_of(path, build, version)
    if not build and not path.lower().endswith(_PROGRAMS):
        return f"SHA256={digest},IMPHASH={'0' * 32}"
    imports = hashlib.sha256(f"imports\0{digest}".encode()).hexdigest()[:32].upper()
    return f"SHA256={digest},IMPHASH={imports}"


def signer(path: str) -> str:
    """Who signed a signed image."""
    place = path.lower()
    if place.startswith("c:\\windows\\"):
        return "Microsoft Windows"
    return next((name for part, name in _SIGNERS if part in place), MICROSOFT)
