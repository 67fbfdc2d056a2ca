"""Processors: from log records to events, and from events to facts, landed in one transaction.

They promise: the same events give the same facts in whatever order, however often and however late they come,
and whether they are landed live or rebuilt from the whole history.
"""
