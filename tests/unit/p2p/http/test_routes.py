"""Who may use which route."""

from itertools import product

import pytest

from p2p.http.routes import ROUTES, allowed, methods_at, route_of
from p2p.identity.principals import Principal

A, V, W, O, N = Principal.ADMIN, Principal.VOTER, Principal.WORKER, Principal.OBSERVER, Principal.ANYBODY  # noqa: E741
ANYBODY = (("GET", "/health"), ("POST", "/session"), ("DELETE", "/session"))
READERS = (
    "/status", "/metrics", "/events", "/jobs", "/jobs/17", "/models", f"/models/{'a' * 64}", "/nodes", "/elo",
    "/openapi.json", "/config",
)  # fmt: skip
WATCHERS = (
    "/admin/promote", "/admin/promote/3", "/admin/rollback", "/admin/rollback/hex8_2p", "/admin/daemons",
)  # fmt: skip
ADMINS = (
    "/admin/promote", "/admin/distribute-model", "/admin/rollback", "/admin/halt", "/admin/resume", "/admin/sync",
    "/admin/daemons/sync/restart", "/events", "/admin/rollback/hex8_2p/baseline",
)  # fmt: skip
FETCHERS = ("/manifest", f"/blobs/{'a' * 64}", f"/blobs/{'a' * 64}/chunks")
PATHS = (
    {route: {A, V, W, O, N} for route in ANYBODY}
    | {("GET", path): {A, V, W, O} for path in READERS}
    | {("GET", path): {A, V, W} for path in FETCHERS}
    | {("GET", path): {A, O} for path in WATCHERS}
    | {("POST", path): {A} for path in ADMINS}
    | {("GET", "/cluster/watch"): {V, W}, ("POST", "/cluster/propose"): {V, W}, ("POST", "/cluster/heartbeat"): {V, W}}
    | {("POST", path): {A, O} for path in ("/cluster/adopt", "/cluster/join")}
    | {("GET", path): {A, V, W, O} for path in ("/cluster/who", "/cluster/voters")}
    | {("GET", "/cluster/standing"): {V, W}}
)


def test_the_whole_table():
    assert len(PATHS) == len(ROUTES)
    for (method, path), principals in PATHS.items():
        assert {it for it in Principal if allowed(method, path, it)} == principals, (method, path)


def test_every_other_method_of_every_path_is_for_nobody():
    methods = {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", ""}
    for method, (_, path) in product(methods, PATHS):
        if (method, path) not in PATHS:
            assert not any(allowed(method, path, it) for it in Principal), (method, path)


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "*", "health", "/health/", "//health", "/Health", "/health\n", "/health?x", "/health#x", "/jobs/",
        "/jobs/a/b", "/jobs/..", "/jobs/.", "/jobs/%2e", "/jobs/a%2fb", "/jobs/é", "/jobs/a b", "/jobs/" + "x" * 129,
        "/admin", "/admin/daemons/a", "/admin/daemons/../halt", "/admin/daemons//x", "http://h/health", "/{id}",
        "/" + "x" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_in_the_table_nobody_may(path: str):
    assert not any(allowed(method, path, it) for method in ("GET", "POST", "DELETE") for it in Principal)
    assert methods_at(path) == []


def test_a_head_is_a_get_and_methods_are_told():
    assert route_of("HEAD", "/status") == route_of("GET", "/status")
    assert methods_at("/admin/promote") == ["GET", "HEAD", "POST"]
    assert methods_at("/session") == ["DELETE", "POST"]
