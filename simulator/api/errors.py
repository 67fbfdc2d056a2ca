"""Telnyx's errors, by the codes that it documents."""

from typing import Any, Self


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str, title: str, detail: str, pointer: str | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.body: dict[str, Any] = {"errors": [{"code": code, "title": title, "detail": detail}]}
        if pointer:
            self.body["errors"][0]["source"] = {"pointer": pointer}

    @classmethod
    def unauthorized(cls) -> Self:
        return cls(
            401,
            "10009",
            "Authentication failed",
            "The required authentication headers were either invalid or not included in the request.",
        )

    @classmethod
    def forbidden(cls) -> Self:
        return cls(403, "10010", "Authorization failed", "You do not have permission to perform the requested action.")

    @classmethod
    def not_found(cls) -> Self:
        return cls(404, "10007", "Resource not found", "Resource not found")

    @classmethod
    def no_conference(cls) -> Self:
        return cls(404, "90058", "Invalid conference_id", "The conference does not exist.")

    @classmethod
    def invalid(cls, pointer: str, detail: str) -> Self:
        return cls(422, "10015", "Bad Request", detail, pointer)

    @classmethod
    def call_ended(cls) -> Self:
        return cls(422, "90018", "Call has already ended", "This call is no longer active and can't receive commands.")

    @classmethod
    def already_in_queue(cls) -> Self:
        return cls(422, "90038", "Call already in queue", "Call can't be added to a queue it's already in.")

    @classmethod
    def too_many(cls) -> Self:
        return cls(429, "10011", "Too many requests", "You have exceeded the maximum number of allowed requests.")

    @classmethod
    def broken(cls) -> Self:
        return cls(500, "10016", "Internal error", "An unexpected error occurred.")
