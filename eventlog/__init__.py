"""The event log: every delivery that was taken in, byte for byte, at a position that never changes.

It promises: what was appended is durable when `append` returns; it is given back as it came, in order, as often as
somebody reads it; a damaged record is named and never guessed. The log is a SQLite file or a topic on Kafka, behind one
port (`eventlog.log`).
"""
