"""Policies that act: from the table of their investigations and the truth to figures.

What does not belong here: policies, the environment, and the report's words.
"""
