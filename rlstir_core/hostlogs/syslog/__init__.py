"""Syslog text in its dialects, and what well-known programs say in it.

What does not belong here: the journal, which has fields of its own (`journald/`).
"""
