"""Sigma rules on log rows: rules of others, parsed by pySigma (the extra `sigma`), matched here.

What does not belong here: importing rules (`importers/sigma.py`), and what their techniques are worth (`evaluation/`).
"""
