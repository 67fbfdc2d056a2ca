"""Telnyx's signature: read from headers, checked against keys, many at a time in a process of its own."""
