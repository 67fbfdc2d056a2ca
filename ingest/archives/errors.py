"""What is wrong with an archive."""


class ArchiveError(ValueError):
    """The rest of an archive cannot be read; the words say what was expected, what came and what to do."""
