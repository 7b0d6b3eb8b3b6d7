"""What stands beside the detectors in the report: baselines, a random split, a learning curve, other seeds.

What does not belong here: the detectors themselves (`models/`), and scoring any of it (`evaluation/`).
"""
