"""Other people's tables, logs and technique texts, turned into a store or a table of ours.

What does not belong here: parsing log lines (`hostlogs/`) and judging what was imported (`episodes/`).
"""
