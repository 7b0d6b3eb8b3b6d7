"""The investigation as an environment: cases, what is seen of them, and what asking earns.

What does not belong here: which rows answer a query (`queries/`), the detector (`belief/`), and policies.
"""
