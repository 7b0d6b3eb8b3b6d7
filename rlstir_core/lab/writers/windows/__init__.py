"""The logs of a Windows host: Sysmon, Security, System and other channels, from an event's fields to its line of JSON.

What does not belong here: which events happen when (`machine/`, `life/`).
"""
