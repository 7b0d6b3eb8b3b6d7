"""Whether generated logs give the label away by what should say nothing, each check with its bar.

What does not belong here: mending what leaks, and refusing to train on it (`rlstir_core/results/lab_outcome.py`).
"""
