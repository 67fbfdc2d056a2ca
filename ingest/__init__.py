"""Ingest: from a delivery to a durable record in the event log.

It promises: a 200 means durable; nothing that is not authentic is ever stored; what might succeed later never
gets a 4xx; the body is kept byte for byte, and nobody looks inside it here.
"""
