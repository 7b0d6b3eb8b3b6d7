"""Evaluation: from predictions and labels to figures with intervals, and to the report.

What does not belong here: making predictions (`detectors/`), choosing episodes (`splits/`).
"""
