"""How the same work on many episodes is spread: in this process, over its cores, or over other machines.

Work is a plain function of one item that leaves its result in a file or returns something small; results come in the
order of the items, however they were made, so nothing that is made of them depends on who made them. What does not
belong here: any work.
"""
