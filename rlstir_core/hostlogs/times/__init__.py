"""What a time in a log may look like, and what is known of those that do not say their year, zone or order.

What does not belong here: which field of an event holds its time (each format's parser).
"""
