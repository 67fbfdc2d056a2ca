"""holdtime: the command line, the configuration and the wiring.

Everything that reads the environment, opens a file or starts a task is here or in a stage's `app.py`.
"""
