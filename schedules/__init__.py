"""Schedules: summaries that send themselves.

A schedule runs at every time that its cron expression names in its time zone, once, also on the days on which the
clocks change; the latest run that was missed is made up for, earlier ones are not. A run waits until all that was
received before the end of its period has landed, or says that it has not. Nobody is ever sent one run twice: what is
about to be sent is on disk before it is sent, and where nobody can know whether it was, it is not sent again and the
doubt is reported.
"""
