"""Windows events, from EVTX files and the JSON of many exporters, to log rows.

What does not belong here: facts for graphs (`provenance/`), and writing such events (`lab/`).
"""
