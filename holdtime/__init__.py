"""holdtime: the command line, the settings, the wiring and the traffic simulator.

Everything that reads the environment, opens a file or starts a task is here or in a stage's `app.py`.
"""
