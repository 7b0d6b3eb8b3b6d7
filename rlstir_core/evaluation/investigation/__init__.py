"""The evaluation of the encoder: predictions of the test side first, then its labels, then figures.

What does not belong here: training (`rlstir_core/investigator/`), and how any interval is made (`stats/`).
"""
