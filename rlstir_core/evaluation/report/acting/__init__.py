"""Words on policies that act: the verdict, and investigations told step by step.

What does not belong here: the tables of their section (`sections/`).
"""
