"""What is known of a host's episodes between runs: verdicts, decoded rows, their ledger, and when to believe them.

What does not belong here: the checks themselves (`reading/`), and what later steps make of the rows.
"""
