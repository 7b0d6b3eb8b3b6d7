"""ATT&CK for log rows: the pinned techniques, the truth that an episode brings, the labels of foreign logs.

What does not belong here: guessing a technique from a log.
"""
