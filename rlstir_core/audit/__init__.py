"""Honesty checks on predictions that other people's detectors made: tables in, verdicts with figures out.

What does not belong here: this project's own evaluation (`rlstir_core/evaluation/`), and anything that needs torch.
"""
