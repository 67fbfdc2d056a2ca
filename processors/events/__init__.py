"""From bytes to events: what each record of the log says, in columns, and what becomes of one that says nothing."""
