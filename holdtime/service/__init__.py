"""A process that serves: its parts, opened and closed in order, and what keeps them going."""
