"""From what a user names to the bytes of logs: containers, encodings, lines, and which format a log has.

What does not belong here: what a log says (a folder for each format).
"""
