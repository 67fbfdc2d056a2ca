"""Reports: measures over facts, computed with polars, from the warehouse or its replica.

They promise: every measure is defined once; an empty interval has no service level; rates are recomputed from
counts at every roll-up; every report says what it rests on.
"""
