"""Landing: a batch of the log becomes events and facts, in one transaction."""
