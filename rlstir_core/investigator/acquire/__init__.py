"""A table whose columns cost something to ask for, as Lanes: the same policies on public feature-acquisition sets.

What does not belong here: log rows and hosts (`soc`), and how policies decide (`policies`).
"""
