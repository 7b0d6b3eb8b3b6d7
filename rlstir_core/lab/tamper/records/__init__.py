"""A record as an operator sees it, and the tools to change one: lines, times in texts, JSON in its own manner.

What does not belong here: any log format (`formats/`), and what is changed why (`changes/`).
"""
