"""The one-command driver: what is stale is planned, told with its reason, and run as the UI would run it.

What does not belong here: the assets, and what a person types and reads (`cli/`).
"""
