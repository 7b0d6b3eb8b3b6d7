"""Public technique texts in the forms of the projects that publish them, a module a form.

What does not belong here: the table that they become (`importers/knowledge.py`).
"""
