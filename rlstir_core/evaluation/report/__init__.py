"""The report: figures as markdown, HTML, pictures and model cards.

What does not belong here: computing a figure (`stats/`, `detectors/`).
"""
