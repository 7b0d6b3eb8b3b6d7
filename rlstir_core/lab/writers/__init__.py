"""The logs of a guest as its own programs write them, a folder for each operating system.

They start in `linux/logs.py` and `windows/logs.py`. What does not belong here: what happens on the guest (`machine/`,
`life/`), and what is done to its logs afterwards (`tamper/`).
"""
