"""Why Telnyx's API gave no answer: a class for each reason that is handled in its own way."""


class ReconcilerError(Exception):
    """A source, or every source, cannot be read. The text says what was expected, what came and what to do."""


class UnauthorizedError(ReconcilerError):
    """The key is not accepted: asking anything else is of no use."""


class ForbiddenError(ReconcilerError):
    """This account may not use this endpoint; others may be open to it."""


class QuestionRefusedError(ReconcilerError):
    """The endpoint does not accept the question, and would not the next time."""


class UnaskableError(ReconcilerError):
    """The question cannot be put: the id of the thing cannot be part of a path."""


class UnansweredError(ReconcilerError):
    """No attempt got a whole answer; a later one may."""
