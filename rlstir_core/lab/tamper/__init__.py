"""Tampering with logs, and its honest look-alikes: `apply.py` for the logs of a host, `rows.py` for rows, `files.py`
for what lies on disk; `spans.py` is the truth about it.

A log is cut into `records/` by its form (`formats/`), `changes/` are made to them, and the form writes it again. What
does not belong here: writing logs in the first place (`writers/`), and finding out that one was tampered with.
"""
