"""The logs of a guest as its own programs write them, a folder for each operating system.

`logs.py` is where each starts. What does not belong here: what happens on the guest (`machine/`, `life/`), and what is
done to its logs afterwards (`tamper/`).
"""
