"""The systemd journal in the formats that `journalctl` prints.

What does not belong here: the texts that programs write into it (`syslog/messages.py`).
"""
