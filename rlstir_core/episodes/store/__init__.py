"""The store of raw episodes: its index, the one place that writes it, and the data folder that belongs to it.

What does not belong here: what a tarball holds (`reading/`) and whether it may be used (`validation/`).
"""
