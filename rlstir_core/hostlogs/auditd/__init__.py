"""Linux audit logs: a line to a record, records to an event, an event to a log row.

What does not belong here: which process an event means in a graph (`provenance/`).
"""
