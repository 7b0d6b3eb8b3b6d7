"""What is believed of an episode of which some rows were revealed: the frozen, calibrated detector of the environment.

Rows get their vectors once an episode (`words.py`, `row_model.py`); these are pooled by process tree as rows are
revealed (`pool.py`), and a small network says how likely an attack, tampering and each technique are (`head.py`). What
does not belong here: which rows are revealed (`soc/`), and who decides it (`policies/`, `ppo.py`).
"""
