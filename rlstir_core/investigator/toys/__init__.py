"""Investigations small enough to be solved exactly: what a policy earns stands beside the optimum.

What does not belong here: learning (`ppo.py`), and anything about logs.
"""
