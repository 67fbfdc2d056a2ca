"""Measures: every number over facts, defined once, and what evaluates them."""
