"""What the report says, part by part: each function gives the markdown of one section.

What does not belong here: the order of the sections (`document.py`), files, and computing a figure.
"""
