"""The live view: what producers publish while an episode runs, the server that keeps it, and the page that shows it.

`publisher.py` needs the standard library alone and may be copied anywhere. `serving/` knows no science: it takes
events of `contract.py` and hands them on. `producing/` makes events of what the project knows. What does not belong
here: computing anything that an event says.
"""
