"""Log rows and their techniques for other people's tools.

What does not belong here: importing from them (`importers/`).
"""
