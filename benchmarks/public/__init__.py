"""What RL-STIR reaches on public data: a module a kind of data, and the page made of them (`page.py`).

What does not belong here: speed (the benchmarks beside this folder).
"""
