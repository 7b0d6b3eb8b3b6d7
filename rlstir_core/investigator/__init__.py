"""The investigator: what log rows say, as text, as tokens and to a model that names techniques in them.

What does not belong here: telemetry and its detectors (`detectors/`), and any figure of a test side (`evaluation/`).
"""
