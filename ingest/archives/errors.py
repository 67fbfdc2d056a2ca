"""The error of an archive that cannot be read."""


class ArchiveError(ValueError):
    """The rest of an archive cannot be read; the text says what was expected, what came and what to do."""
