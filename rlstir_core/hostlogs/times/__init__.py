"""What a time in a log may look like, and what is known of those that do not say their year, zone or order.

Reading a time: any spelling (`spelled.py`), dates by pattern (`dates.py`), local dates in any language (`locales.py`),
the words in them (`months.py`, `zone_words.py`). Settling what it leaves open, once for a whole log: day and month
(`date_orders.py`), the year (`years.py`), the zone (`zones.py`). What is known of a log: `evidence.py` before it is
read, `reading.py` after. What does not belong here: which field of an event holds its time (each format's parser).
"""
