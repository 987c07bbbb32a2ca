"""Who may use which route: one table, and what is not in it nobody may."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Principal(StrEnum):
    """As whom a request is taken; fixed when it is let in."""

    ADMIN = "admin"  # people with the admin token
    VOTER = "voter"  # nodes that agree on the state
    WORKER = "worker"  # nodes that do jobs
    OBSERVER = "observer"  # may read
    ANYBODY = "anybody"  # has shown nothing


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path whose `{name}` stand for one segment, and who may use it."""

    method: str
    pattern: str
    principals: frozenset[Principal]


ADMINS = frozenset({Principal.ADMIN})
READERS = frozenset({Principal.OBSERVER, Principal.WORKER, Principal.VOTER, Principal.ADMIN})
WATCHERS = frozenset({Principal.OBSERVER, Principal.ADMIN})
EVERYBODY = frozenset(Principal)

SEGMENT = "[A-Za-z0-9._~-]{1,128}"  # of a path, what a {name} stands for; nothing that needs an escape
PATH_CHARS_MAX = 1024
QUESTIONS = (
    "/status", "/metrics", "/events", "/jobs", "/jobs/{id}", "/models", "/models/{sha256}", "/nodes", "/elo",
    "/openapi.json", "/config",
)  # fmt: skip
ADMIN_QUESTIONS = ("/admin/promote", "/admin/promote/{number}", "/admin/rollback")
ORDERS = (
    "/admin/promote", "/admin/distribute-model", "/admin/rollback", "/admin/halt", "/admin/resume",
    "/admin/daemons/{name}/{action}", "/events",
)  # fmt: skip

ROUTES = (
    Route("GET", "/health", EVERYBODY),
    *(Route("GET", path, READERS) for path in QUESTIONS),
    *(Route("GET", path, WATCHERS) for path in ADMIN_QUESTIONS),
    Route("POST", "/session", EVERYBODY),  # where a token is swapped for a cookie
    Route("DELETE", "/session", EVERYBODY),
    *(Route("POST", path, ADMINS) for path in ORDERS),
)


def allowed(method: str, path: str, principal: Principal) -> bool:
    """Whether a principal may use a route."""
    route = route_of(method, path)
    return route is not None and principal in route.principals


def route_of(method: str, path: str) -> Route | None:
    """The route of a method and a path as it is on the wire, without its query; None where nobody has one.

    HEAD is taken as GET. A path with an escape, an empty segment or `..` has no route.
    """
    wanted = "GET" if method == "HEAD" else method
    return next((route for route in _routes_at(path) if route.method == wanted), None)


def methods_at(path: str) -> list[str]:
    """The methods that a path has."""
    methods = {route.method for route in _routes_at(path)}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def shape(pattern: str) -> str:
    """A pattern without the names in it: two patterns of one shape take the same paths."""
    return re.sub(r"\{[^{}]*\}", "{}", pattern)


def _routes_at(path: str) -> Iterator[Route]:
    if len(path) > PATH_CHARS_MAX:
        return
    for pattern, matcher in _matchers():
        if matcher.fullmatch(path):
            yield from (route for route in ROUTES if route.pattern == pattern)


@cache
def _matchers() -> tuple[tuple[str, re.Pattern[str]], ...]:
    patterns = dict.fromkeys(route.pattern for route in ROUTES)
    segment = f"(?!\\.\\.?(?:/|\\Z)){SEGMENT}"
    return tuple((it, re.compile(re.escape(shape(it)).replace(r"\{\}", segment))) for it in patterns)
