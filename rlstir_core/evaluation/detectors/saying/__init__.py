"""The shapes of what detectors say of one episode.

What does not belong here: finding it out (`rlstir_core/evaluation/detectors/scoring.py`).
"""
