"""Frames and tars made by hand, and the cases about them.

What does not belong here: what the members hold.
"""
