"""Tables of a report: facts read, grouped and measured, with the notes beneath them."""
