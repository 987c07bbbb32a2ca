"""Sessions: bounded, ending, and worth nothing to whoever reads the memory."""

import pytest

from p2p.identity.principals import Principal
from p2p.identity.sessions import Sessions, cookie_name


def chance(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_a_session_lasts_its_time_and_no_longer():
    sessions = Sessions(ttl_s=100)
    name = sessions.begin(Principal.OBSERVER, chance(1), 5.0)
    assert sessions.principal_of(name, 104.9) is Principal.OBSERVER
    assert sessions.principal_of(name, 105.0) is None
    assert len(sessions) == 0
    assert sessions.principal_of(name, 5.0) is None


def test_an_ended_session_is_over_and_ends_once():
    sessions = Sessions()
    name, other = (sessions.begin(Principal.ADMIN, chance(number), 0.0) for number in (1, 2))
    assert sessions.end(name)
    assert not sessions.end(name)
    assert sessions.principal_of(name, 0.0) is None
    assert sessions.principal_of(other, 0.0) is Principal.ADMIN


def test_there_are_so_many_and_the_oldest_goes():
    sessions = Sessions(sessions_max=3)
    names = [sessions.begin(Principal.ADMIN, chance(number), float(number)) for number in range(5)]
    assert [sessions.principal_of(name, 5.0) is not None for name in names] == [False, False, True, True, True]
    assert len(sessions) == 3


def test_those_who_may_only_read_push_no_admin_out():
    sessions = Sessions(sessions_max=3)
    admin = sessions.begin(Principal.ADMIN, chance(0), 0.0)
    for number in range(1, 9):
        sessions.begin(Principal.OBSERVER, chance(number), float(number))
    assert sessions.principal_of(admin, 9.0) is Principal.ADMIN
    assert len(sessions) == 4


@pytest.mark.parametrize("name", ["", "x", "é" * 43, "A" * 42, "A" * 44, "A" * 43 + "=", "A" * 10_000, "\ud800"])
def test_what_is_no_name_of_a_session_is_none(name: str):
    sessions = Sessions()
    sessions.begin(Principal.ADMIN, chance(1), 0.0)
    assert sessions.principal_of(name, 0.0) is None
    assert not sessions.end(name)


def test_the_name_of_a_session_is_not_kept():
    sessions = Sessions()
    name = sessions.begin(Principal.ADMIN, chance(7), 0.0)
    kept = sessions._sessions
    assert chance(7) not in kept
    assert name not in repr(kept)


def test_a_session_takes_256_bits():
    with pytest.raises(ValueError, match="32 random bytes"):
        Sessions().begin(Principal.ADMIN, b"short", 0.0)


def test_two_nodes_of_one_host_have_two_cookies():
    assert cookie_name(8770) != cookie_name(8771)
