"""Where logs were tampered with: plain rules with their reasons, and what a model may read of numbers and clocks.

What does not belong here: tampering itself (`lab/tamper`), and the truth about it.
"""
