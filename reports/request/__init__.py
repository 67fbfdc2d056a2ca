"""A request for a report: which period, which queues, by which policy."""
