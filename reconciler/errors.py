"""Why Telnyx's API gave no answer, as far as that decides what to do next."""


class ReconcilerError(Exception):
    """What stops a source, or all of them. The text says what was expected, what came and what to do."""


class UnauthorizedError(ReconcilerError):
    """The key is not accepted: asking anything else is of no use."""


class ForbiddenError(ReconcilerError):
    """This account may not use this endpoint; others may be open to it."""


class QuestionRefusedError(ReconcilerError):
    """The endpoint does not accept the question; asking it again would be the same."""


class UnaskableError(ReconcilerError):
    """The question cannot be put: what is asked for has a name that no path can have."""


class UnansweredError(ReconcilerError):
    """There was no whole answer although it was asked for again and again: some time later there may be one."""
