"""Figures and their intervals, from labels and probabilities: the only place that makes an interval.

What does not belong here: files, models and words.
"""
