"""Schedules: summaries that send themselves.

A schedule runs at every time that its cron expression names in its time zone, once, also on the days on which the
clocks change; the latest missed run is made up for, earlier ones are not. A run waits until every record that was
received before the end of its period has landed, or its message says that some has not. No recipient gets one run
twice: each message is on disk before it is sent. One that may have arrived is not sent again; the doubt is reported.
"""
