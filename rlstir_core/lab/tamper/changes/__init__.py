"""What is done to records: the operators of somebody who hides something, and benign artifacts that look like them.

What does not belong here: any log format (`formats/`), and logs as bytes, rows or files.
"""
