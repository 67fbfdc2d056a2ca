"""The event log: every delivery that was taken in, byte for byte, at a position that never changes.

It promises: a record is durable when `append` returns; every read gives it back as it came, in order; a damaged record
is named and never guessed. The log is a SQLite file or topics on Kafka, behind one port (`eventlog.log`). The package
imports no other room.
"""
