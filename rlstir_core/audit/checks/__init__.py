"""The checks: each takes the material and gives what it found, or says for want of what it was not made.

What does not belong here: reading tables, and how findings are written.
"""
