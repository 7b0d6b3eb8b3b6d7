"""The log formats: each cut into records, edited in every place that says the same, with notices of its own.

`forms.py` knows them by name. What does not belong here: which records are touched (`changes/`), and parsing
(`hostlogs/`).
"""
