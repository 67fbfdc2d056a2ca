"""The warehouse: one DuckDB file that holds every event once, and the facts that follow from them.

It promises: one writer; tables in time order without keys or indexes; times in UTC, durations in whole
milliseconds; a schema that says its version; and a replica that any DuckDB 1.2+ client can open while we write.
"""
