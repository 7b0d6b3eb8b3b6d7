"""What happens without a hand: the sensor on new episodes, the schedule that scores them, and the jobs behind both.

What does not belong here: what is stale and in which order it is made (`driver/`).
"""
