"""A process that serves: its components, opened and closed in order, and what keeps them going."""
