"""Sessions of browsers.

POST   /session   {"token": "..."}: 200 {"principal"} and a cookie that only pages of this node can use
DELETE /session   200, and the cookie is worth nothing any more
"""

from collections.abc import Callable

from aiohttp import web

from p2p.http.answers import SessionAnswer, SessionEndAnswer
from p2p.http.errors import body_of
from p2p.http.forms import SessionForm
from p2p.http.guard import Gate, by_token, session_cookie
from p2p.http.json_answer import Handlers, json_answer
from p2p.identity.sessions import NAME_BYTES, TTL_S


def session_handlers(gate: Gate, chance: Callable[[int], bytes]) -> Handlers:
    """The handlers; `chance` gives as many random bytes as it is asked for, as `secrets.token_bytes` does."""

    async def begin(request: web.Request) -> web.Response:
        form = await body_of(request, SessionForm)
        principal = by_token(gate.credentials, form.token)
        name = gate.sessions.begin(principal, chance(NAME_BYTES), gate.monotonic())
        answer = json_answer(SessionAnswer(principal=principal.value))
        answer.set_cookie(
            session_cookie(request),
            name,
            max_age=int(TTL_S),
            path="/",
            secure=request.secure,
            httponly=True,
            samesite="Strict",
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def end(request: web.Request) -> web.Response:
        name = session_cookie(request)
        ended = gate.sessions.end(request.cookies.get(name, ""))
        answer = json_answer(SessionEndAnswer(ended=ended))
        answer.del_cookie(name)
        return answer

    return {"POST /session": begin, "DELETE /session": end}
