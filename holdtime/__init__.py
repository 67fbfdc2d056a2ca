"""holdtime: the command line, the configuration and the wiring.

Code that reads the environment, opens a file or starts a task is here, or in the `app.py` of a room.
"""
