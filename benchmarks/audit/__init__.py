"""Benchmarks of the audit of other people's predictions.

What does not belong here: this project's own detectors.
"""
