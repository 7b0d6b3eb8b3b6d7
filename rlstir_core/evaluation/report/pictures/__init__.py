"""What the report and `rlstir show` draw.

What does not belong here: computing a figure, and the words around it.
"""
