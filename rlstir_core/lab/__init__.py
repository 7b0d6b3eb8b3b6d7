"""The episode generator: a host, the life on it, its sensors and logs, tampering, and checks that nothing leaks.

What does not belong here: detectors and their evaluation. Nothing else of the core imports the lab.
"""
