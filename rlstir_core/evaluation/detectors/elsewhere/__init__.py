"""What is said of hosts and recordings unlike those that were trained on: thresholds there, and how far away they lie.

What does not belong here: figures of the test side as a whole (`../detection.py`, `../alarms.py`).
"""
