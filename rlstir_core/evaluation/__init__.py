"""Evaluation: from predictions and labels to figures with intervals, and to the report.

What does not belong here: making predictions (`rlstir_core/detectors/`), choosing episodes
(`rlstir_core/datasets/`).
"""
