"""What can be asked of a host's log, what it costs, and which rows answer it.

What does not belong here: who asks, and in which order (`soc/`, `policies/`).
"""
