"""The ensemble: a convex combination of what the models of a mode say, fitted on the folds that they left out.

What does not belong here: the models themselves (`models/`) and any figure (`evaluation/`).
"""
