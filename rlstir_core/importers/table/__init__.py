"""Foreign telemetry tables: their files, their mapping, their columns, and the runs that they make.

What does not belong here: the import as a whole (`tables.py`).
"""
