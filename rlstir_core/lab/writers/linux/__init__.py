"""The logs of a Linux guest: audit.log, auth.log and the journal, from the kernel's numbers to the words of programs.

What does not belong here: which events happen when (`machine/`, `life/`).
"""
