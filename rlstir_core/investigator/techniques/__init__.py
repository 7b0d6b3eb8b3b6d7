"""Which techniques there are, which an episode carries, what public texts say of them, and when one is named.

What does not belong here: networks.
"""
