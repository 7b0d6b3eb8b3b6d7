"""An audit for people and for machines: text, markdown, JSON and SARIF.

What does not belong here: checks.
"""
