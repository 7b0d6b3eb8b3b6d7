"""From the bytes of host logs to log rows with templates, techniques and tamper spans.

What does not belong here: graphs of processes (`provenance/`), and reading the tarball that holds a log (`episodes/`).
"""
