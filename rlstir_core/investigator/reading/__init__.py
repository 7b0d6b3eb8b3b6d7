"""What is seen of a log row: its text, and the text as tokens, in batches.

What does not belong here: networks (`network/`), and anything learnt from labels.
"""
