"""The event log as a SQLite file: groups of records with checksums, and the repair of a damaged one."""
