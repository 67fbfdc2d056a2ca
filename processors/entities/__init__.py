"""Entities: the leg or conference that an event is of, and all events of it, found around the times of a batch."""
