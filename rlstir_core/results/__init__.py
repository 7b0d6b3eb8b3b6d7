"""Where results lie, who may write them now, and what each was made from.

What does not belong here: the content of any result, and whether one is out of date (`staleness.py`).
"""
