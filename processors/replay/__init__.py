"""Facts derived anew: of the whole history, of an older warehouse, or as of a position of the log."""
