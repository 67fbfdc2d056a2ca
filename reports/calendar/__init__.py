"""The local calendar: business hours, intervals, and periods in plain words."""
