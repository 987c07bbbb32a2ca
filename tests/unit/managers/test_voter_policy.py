"""Who should agree on the state."""

import pytest

from managers.state.commands import Drain, Join, SetVoters, TakeRole
from managers.state.members import LEADER
from managers.voter_policy import PATIENCE_S, VoterPolicy
from tests.unit.managers.deciding import Cluster

LONG = PATIENCE_S + 1


def cluster_of(nodes: str, *, spot: str = "", idle: str = "", deaf: str = "") -> Cluster:
    """A cluster led by its first node; `deaf` ones cannot be voters."""
    cluster = Cluster()
    for node in nodes:
        address = "" if node in deaf else f"{node}:8771"
        cores = 0 if node in idle else 4
        cluster.do(Join(node=node, session=1, cores=cores, raft_address=address, spot=node in spot))
        cluster.later(1)
    cluster.do(TakeRole(role=LEADER, node=nodes[0], session=1, lease_s=60))
    return cluster


def wanted(cluster: Cluster, **silent_s: float) -> str:
    decision = VoterPolicy().decide(cluster.state, silent_s)
    for body in decision.bodies:
        cluster.do(body)
    return "".join(cluster.state.voters)


@pytest.mark.parametrize(
    ("nodes", "voters"),
    [("a", ""), ("ab", ""), ("abc", "abc"), ("abcd", "abc"), ("abcde", "abcde"), ("abcdefg", "abcde")],
)
def test_there_are_none_three_or_five(nodes: str, voters: str):
    assert wanted(cluster_of(nodes)) == voters


def test_who_leads_is_one_and_the_oldest_come_next():
    cluster = cluster_of("bacd")
    assert wanted(cluster) == "abc"


def test_what_may_be_taken_away_comes_last_and_what_computes_nothing_first():
    assert wanted(cluster_of("abcd", spot="b")) == "acd"
    assert wanted(cluster_of("abcd", idle="d")) == "abd"


def test_who_listens_to_no_voter_is_none():
    assert wanted(cluster_of("abcd", deaf="b")) == "acd"
    assert wanted(cluster_of("abc", deaf="b")) == ""


def test_a_short_silence_changes_nothing():
    cluster = cluster_of("abcd")
    assert wanted(cluster) == "abc"
    assert wanted(cluster, c=PATIENCE_S - 1) == "abc"


def test_a_long_silence_costs_a_voter_its_place():
    cluster = cluster_of("abcd")
    wanted(cluster)
    assert wanted(cluster, c=LONG) == "abd"
    assert wanted(cluster) == "abd", "it does not take its place back"


def test_without_a_substitute_a_silent_voter_stays():
    cluster = cluster_of("abc")
    wanted(cluster)
    assert wanted(cluster, c=LONG) == "abc"


def test_a_silent_node_is_no_substitute():
    cluster = cluster_of("abcd")
    wanted(cluster)
    assert wanted(cluster, c=LONG, d=1.0) == "abc"


def test_a_draining_voter_gives_way_to_another():
    cluster = cluster_of("abcd")
    wanted(cluster)
    cluster.do(Drain(node="b"))
    assert wanted(cluster) == "acd"


def test_five_that_have_lost_one_for_good_stay_five_and_two_become_three():
    cluster = cluster_of("abcde")
    assert wanted(cluster) == "abcde"
    assert wanted(cluster, e=LONG) == "abcde"
    assert wanted(cluster, d=LONG, e=LONG) == "abc"


def test_three_grow_to_five():
    cluster = cluster_of("abcd")
    wanted(cluster)
    cluster.do(Join(node="e", session=1, cores=4, raft_address="e:8771"))
    assert wanted(cluster) == "abcde"


def test_a_voter_that_people_have_chosen_stays():
    cluster = cluster_of("abcd")
    cluster.do(SetVoters(voters=("a", "b", "d")))
    assert wanted(cluster) == "abd"


@pytest.mark.parametrize(
    ("nodes", "deaf", "silent_s", "expected"),
    [
        ("ab", "", {}, "for 3 nodes that can vote; heard: a, b"),
        ("abc", "c", {}, "for 3 nodes that can vote; heard: a, b"),
        ("abc", "", {}, ""),
        ("abc", "", {"c": 40.0}, "for c, silent for 40 s: nobody can take its place"),
        ("abcd", "", {"c": 40.0}, f"for c, silent for 40 s: after {PATIENCE_S:.0f} s d takes its place"),
        ("abcd", "", {"d": 40.0}, ""),
    ],
)
def test_it_says_what_it_waits_for(nodes: str, deaf: str, silent_s: dict[str, float], expected: str):
    cluster = cluster_of(nodes, deaf=deaf)
    wanted(cluster)
    assert VoterPolicy().waits_for(cluster.state, silent_s) == expected
