"""The doctor: whether everything is as it should be, what is open, and what to do."""
