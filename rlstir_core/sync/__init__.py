"""Episodes of another store into one's own: `sources.py` and `ssh.py` fetch, `run.py` decides and puts in place.

What does not belong here: what a tarball holds, and how an index is read or written (`episodes/store/`).
"""
