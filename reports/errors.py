"""What can go wrong with a report that the person who asked for it can put right."""


class ReportError(Exception):
    """The report cannot be made. The text says what was expected, what came, and what to do."""


class RequestError(ReportError, ValueError):
    """The request is not one that can be answered: a bad date, time zone, interval, name or threshold."""


class SourceError(ReportError):
    """The warehouse or its replica cannot be read: not there yet, locked by its writer, or something else."""
