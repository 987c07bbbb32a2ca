"""Who is at the other end, and which page sends a request."""

import asyncio
import socket

import pytest

from p2p.http.origin import Host, Page, host_of, page_of
from p2p.http.peer import Door, peer_of, site_of


class Connected(asyncio.BaseTransport):
    """A connection between two addresses."""

    def __init__(self, family: int, peer: object, own: object) -> None:
        end = type("End", (), {"family": family})()
        super().__init__({"socket": end, "peername": peer, "sockname": own})


def tcp(peer: str, own: str = "127.0.0.1") -> Connected:
    return Connected(socket.AF_INET, (peer, 50_000), (own, 8770))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_a_program_on_this_machine_comes_by_loopback(address: str):
    assert peer_of(tcp(address), ["Host", "Accept"]).door is Door.LOOPBACK


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1", "fe80::1%eth0", "2001:db8::1", "x"])
def test_anybody_else_comes_from_outside(address: str):
    assert peer_of(tcp(address), []).door is Door.OUTSIDE


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "x-forwarded-proto", "X-FORWARDED-ANYTHING", "Forwarded", "Via", "X-Real-IP", "CF-Ray"]
)
def test_a_forwarded_request_is_not_local_on_any_door(name: str):
    assert peer_of(tcp("127.0.0.1"), [name]).door is Door.OUTSIDE
    assert peer_of(Connected(socket.AF_UNIX, "", "/run/x.sock"), [name]).door is Door.OUTSIDE


def test_the_unix_socket_is_known_by_the_kernel_only():
    assert peer_of(Connected(socket.AF_UNIX, "", "/run/x.sock"), []).door is Door.SOCKET
    assert peer_of(None, []).door is Door.OUTSIDE
    assert peer_of(asyncio.BaseTransport(), []).door is Door.OUTSIDE


def test_what_counts_as_one_peer():
    assert site_of("192.0.2.1") == "192.0.2.1"
    assert site_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert site_of("2001:db8:0:1:aaaa::1") == site_of("2001:db8:0:1::2") != site_of("2001:db8:0:2::2")


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost", Host("localhost", 80)), ("LocalHost:8770", Host("localhost", 8770)),
        ("[::1]:8770", Host("::1", 8770)), ("[::ffff:127.0.0.1]", Host("127.0.0.1", 80)),
        ("a_b.c-d", Host("a_b.c-d", 80)),
    ],
)  # fmt: skip
def test_a_host_is_a_name_and_a_port(header: str, host: Host):
    assert host_of([header], "http") == host
    assert host_of([header, header], "http") is None


@pytest.mark.parametrize(
    "header",
    ["", ":80", "a:b", "a:", "a:123456", "a b", "a,b", "u@a", "a/b", "[::1", "::1", "a\n", "é", "[x]", "a" * 254],
)  # fmt: skip
def test_what_is_no_host_is_none(header: str):
    assert host_of([header], "http") is None


def page(origin: str, host: str = "localhost:8770", scheme: str = "http") -> Page:
    found = host_of([host], scheme)
    assert found is not None
    return page_of([origin], [], found, scheme)


def test_a_page_is_ours_by_scheme_name_and_port():
    assert page("http://localhost:8770") is Page.OWN
    assert page("https://node.example", "node.example:443", "https") is Page.OWN
    for origin in (
        "https://localhost:8770", "http://localhost", "http://localhost:8771", "http://127.0.0.1:8770", "null", "",
        "http://localhost:8770/", "http://localhost:8770.evil.example", "HTTP://localhost:8770", "file://",
    ):  # fmt: skip
        assert page(origin) is Page.FOREIGN, origin


def test_programs_say_nothing_and_browsers_say_where_they_are():
    host = Host("localhost", 8770)
    assert page_of([], [], host, "http") is Page.NONE
    assert page_of([], ["none"], host, "http") is Page.OWN
    assert page_of([], ["same-origin"], host, "http") is Page.OWN
    for site in ("cross-site", "same-site", "", "NONE", "else"):
        assert page_of([], [site], host, "http") is Page.FOREIGN
    assert page_of(["http://localhost:8770"], ["cross-site"], host, "http") is Page.FOREIGN
    assert page_of(["http://localhost:8770", "http://evil"], [], host, "http") is Page.FOREIGN
