"""The numbers that the report's rules rest on, once.

What does not belong here: minimum counts of intervals (`intervals.py`).
"""

VOID_MARGIN = 0.10  # macro F1 by which what knows nothing may beat chance; beyond, a comparison is void
ALARM_FPR = 0.01  # the rate of false positives that alarms are set for
FPRS = (ALARM_FPR, 0.001)
