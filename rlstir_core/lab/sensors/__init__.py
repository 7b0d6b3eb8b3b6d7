"""What a machine's work costs it, and what the five telemetry sources write of that.

What does not belong here: logs (`writers/`), and which story an episode tells (`story.py`).
"""
