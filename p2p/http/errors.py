"""Errors as answers: `{"error": {"code", "message", "details"}}` with the right status, for every fault.

The middleware here is one of the five places that catch whatever comes.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from managers.ports import BusyError
from ringrift_core.errors import InvariantError, RingriftError, RulesError, StorageError

DETAILS_MAX = 10
CODES = {
    400: "bad_request", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 409: "conflict",
    413: "too_large", 500: "internal", 503: "unavailable",
}  # fmt: skip

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Details = tuple[str, ...] | Mapping[str, str | float]
Form = TypeVar("Form", bound=BaseModel)

logger = logging.getLogger(__name__)


class RequestError(RingriftError):
    """The request is wrong, or does not fit what stands; `status` is that of the answer."""

    def __init__(self, message: str, status: int = 400, details: Details = (), *, code: str = "") -> None:
        """`code` is for programs; without it that of the status."""
        super().__init__(message)
        self.status = status
        self.details = details
        self.code = code


def error_answer(status: int, message: str, details: Details = (), code: str = "") -> web.Response:
    """An error as an answer."""
    plain = dict(details) if isinstance(details, Mapping) else list(details)
    error = {"code": code or CODES.get(status, "error"), "message": message, "details": plain}
    return web.json_response({"error": error}, status=status)


@web.middleware
async def errors_as_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong becomes an answer; a fault of ours is logged with its traceback."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        answer = error_answer(error.status, error.reason)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except RequestError as error:
        return error_answer(error.status, str(error), error.details, error.code)
    except BusyError as error:
        return error_answer(503, str(error), code="busy")
    except RulesError as error:
        return error_answer(400, str(error))
    except (StorageError, TimeoutError) as error:
        return error_answer(503, str(error) or "no answer in time")
    except Exception as error:
        logger.exception("%s %s failed", request.method, request.path)
        known = isinstance(error, RingriftError) and not isinstance(error, InvariantError)
        return error_answer(500, str(error) if known else "a fault of ours: see logs/coordination.log")


async def body_of(request: web.Request, form: type[Form]) -> Form:
    """The JSON body of a request, under any content type; an empty one is {}. RequestError when it is none."""
    content = await request.read()
    try:
        return form.model_validate(json.loads(content or b"{}"))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)[:DETAILS_MAX]
        details = tuple(f"{'.'.join(map(str, it['loc'])) or 'body'}: {it['msg']}" for it in faults)
        raise RequestError("the body is not what it should be", 400, details) from None
    except (ValueError, RecursionError):
        raise RequestError("the body is no JSON") from None
