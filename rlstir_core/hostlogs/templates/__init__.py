"""Templates: what the records of a log share once their parameters are removed, mined or by the form of a record.

What does not belong here: reading a log format, and what a template says of an attack.
"""
