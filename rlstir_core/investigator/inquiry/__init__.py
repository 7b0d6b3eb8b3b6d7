"""What happened here: logs of a user, from their files to what is said of them. Knows no store and reads no labels.

What does not belong here: learning, and figures of a test side (`evaluation/`).
"""
