"""Every refusal of the API, one class a kind, and the envelope that clients parse.

Knows nothing of routes or stores: whoever finds a mistake raises one of these, and `app.py` has the only handlers.

    raise InvalidRequest("n_epochs must be between 1 and 50, not 99", param="n_epochs")
"""

from typing import Any


class ApiError(Exception):
    """A refusal with an HTTP status. `param` names the field at fault, `code` is for programs, the message for people."""

    status = 500
    type = "server_error"
    default_code: str | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None,
                 headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code or self.default_code
        self.headers = headers or {}

    def envelope(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class InvalidRequest(ApiError, ValueError):
    status, type = 400, "invalid_request_error"


class UnsupportedParameter(InvalidRequest):
    """A parameter that the hosted API knows and this one does not honour: refused by name, never dropped in silence."""

    default_code = "unsupported_parameter"


class Unauthorized(ApiError, PermissionError):
    status, type, default_code = 401, "invalid_request_error", "invalid_api_key"


class Forbidden(ApiError, PermissionError):
    status, type, default_code = 403, "invalid_request_error", "forbidden"


class NotFound(ApiError, LookupError):
    status, type, default_code = 404, "invalid_request_error", "not_found"


class ModelNotFound(NotFound):
    default_code = "model_not_found"

    def __init__(self, model: object, advice: str = "GET /v1/models lists those that do.") -> None:
        super().__init__(f"The model `{model}` does not exist: {advice}", param="model")


class MethodNotAllowed(ApiError):
    status, type, default_code = 405, "invalid_request_error", "method_not_allowed"


class Conflict(ApiError):
    status, type, default_code = 409, "invalid_request_error", "conflict"


class TooLarge(ApiError, ValueError):
    status, type, default_code = 413, "invalid_request_error", "request_too_large"


class TooSlow(ApiError):
    """The request's body did not come in time."""

    status, type, default_code = 408, "invalid_request_error", "request_timeout"


class RateLimited(ApiError):
    """Too many requests or tokens in a minute: the same request is answered later."""

    status, default_code = 429, "rate_limit_exceeded"

    def __init__(self, message: str, *, what: str, headers: dict[str, str]) -> None:
        """`what`: "requests" or "tokens", which the hosted API gives as the error's type."""
        super().__init__(message, headers=headers)
        self.type = what


class InsufficientQuota(ApiError):
    """A project has all that it may have: no retry can cure that, which the header tells the official client."""

    status, type, default_code = 429, "insufficient_quota", "insufficient_quota"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"x-should-retry": "false"})


class Unavailable(ApiError):
    """The server cannot answer now: the disk is full, say. Worth another try later."""

    status, type, default_code = 503, "server_error", "unavailable"
