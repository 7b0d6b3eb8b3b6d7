"""The server of the live view: it keeps events in a ring on disk and hands them to whoever watches.

What does not belong here: what events mean, and anything that needs torch.
"""
