"""Drift: whether the episodes of the last day look like those of the same host before.

What does not belong here: scores of detectors (`detectors/`).
"""
