"""A voter that was left out while it was away finds out from others, and from no others than those who know."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from managers.state.cluster_state import ClusterState
from managers.state.commands import SetVoters
from p2p.http.node_calls import Unreachable
from p2p.membership.bootstrap import Contact
from p2p.membership.group_standing import GroupStanding, put_together
from p2p.membership.removal import LONELY_S, PAUSE_S, Removal, gone_on
from tests.commanded import Commanded

OLD = "0" * 32


def standing(node: str, voters: str, **given: object) -> GroupStanding:
    """A voter that serves."""
    usual: dict[str, object] = {
        "node": node, "runs": "voter", "cluster_id": OLD, "epoch": 5, "seq": 7, "version": 9, "wanted": tuple(voters),
        "voters": tuple(voters), "leader": voters[0], "term": 3, "serves": True, "trouble": "", "waits_for": "",
        "silent_s": {}, "contacts": (),
    }  # fmt: skip
    return GroupStanding.model_validate({**usual, **given})


C = standing("c", "abc", leader=None, serves=False)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (standing("a", "abd"), True),
        (standing("a", "abd", version=8), False),  # it knows less than this one
        (standing("a", "abd", epoch=4), False),
        (standing("a", "abd", serves=False), False),  # itself cut off
        (standing("a", "abd", cluster_id="1" * 32), False),
        (standing("a", "abd", wanted=("a", "b", "c")), False),  # it is to come back
        (standing("a", "abcd", wanted=("a", "b", "d")), False),  # it is still in
        (standing("a", "abc"), False),
    ],
)
def test_only_a_voter_that_serves_and_knows_as_much_shows_that_the_others_have_gone_on(
    told: GroupStanding, expected: bool
):
    assert gone_on(C, told) is expected


@dataclass
class Others:
    """The other nodes, as calls reach them."""

    standings: dict[str, GroupStanding]
    texts: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    learned: list[Contact] = field(default_factory=list)
    now: float = 100.0

    async def ask(
        self, node: str, method: str, path: str, body: bytes = b"", *, timeout_s: float, bytes_max: int
    ) -> bytes:
        assert (method, path, body) == ("GET", "/cluster/standing", b"")
        self.asked.append(node)
        if node not in self.standings:
            raise Unreachable(node, self.texts.get(node, "it is down"))
        return self.standings[node].model_dump_json().encode()

    def learn(self, contacts: Iterable[Contact]) -> None:
        self.learned += contacts

    def removal(self, own: GroupStanding = C) -> Removal:
        return Removal("c", self, lambda: own, self.learn, lambda: self.now)


def state() -> ClusterState:
    cluster = Commanded()
    for node in "abcw":
        cluster.join(node)
    cluster.do(SetVoters(voters=("a", "b", "c")))
    return cluster.state


def looks(others: Others, removal: Removal, *, lonely: bool = True, later_s: float = 0.0) -> bool:
    others.now += later_s
    return asyncio.run(removal.look(state(), lonely=lonely))


def test_nobody_is_asked_before_an_election_would_be_over_nor_again_at_once():
    others = Others({"a": standing("a", "abc")})
    removal = others.removal()
    assert not looks(others, removal)
    assert not looks(others, removal, later_s=LONELY_S - 0.1)
    assert others.asked == []
    assert not looks(others, removal, later_s=0.2)
    assert sorted(others.asked) == ["a", "b", "w"]
    assert not looks(others, removal, later_s=PAUSE_S - 0.1)
    assert len(others.asked) == 3
    assert not looks(others, removal, lonely=False, later_s=1.0)
    assert not looks(others, removal)
    assert len(others.asked) == 3, "it counts anew"


def test_one_of_the_present_voters_says_it_and_where_they_are():
    where = (Contact(node="d", address="d:1"),)
    others = Others({"b": standing("b", "abd", contacts=where)})
    removal = others.removal()
    looks(others, removal)
    assert looks(others, removal, later_s=LONELY_S)
    assert "b says that a, b, d vote" in removal.remark
    assert where[0] in others.learned


def test_voters_that_are_new_to_it_are_named_by_another_member_and_asked_themselves():
    where = tuple(Contact(node=node, address=f"{node}:1") for node in "def")
    worker = standing("w", "def", runs="follower", serves=False, contacts=where)
    others = Others({"w": worker, "e": standing("e", "def")})
    removal = others.removal()
    looks(others, removal)
    assert looks(others, removal, later_s=LONELY_S)
    assert sorted(others.asked) == ["a", "b", "d", "e", "f", "w"]
    assert others.learned[:3] == [*where]
    liar = Others({"w": worker})
    removal = liar.removal()
    looks(liar, removal)
    assert not looks(liar, removal, later_s=LONELY_S), "its word alone does not count"


def test_where_a_former_voter_is_of_another_cluster_a_person_is_told_what_to_do():
    others = Others({}, {"a": "a:1: this node belongs to the cluster 11 (401 other_cluster)"})
    removal = others.removal()
    looks(others, removal)
    assert not looks(others, removal, later_s=LONELY_S)
    assert removal.remark.startswith("another cluster at a:")
    assert "voters leave" in removal.remark
    others.texts["a"] = "it did not answer several times and is left alone for a while"
    assert not looks(others, removal, later_s=PAUSE_S)
    assert "voters leave" in removal.remark, "nobody has said anything else"


def test_an_answer_in_the_name_of_another_node_is_none():
    others = Others({"a": standing("b", "abd")})
    removal = others.removal()
    looks(others, removal)
    assert not looks(others, removal, later_s=LONELY_S)


def test_voters_are_put_together_from_what_each_says():
    own = standing("a", "abc", wanted=("a", "b", "d"), silent_s={"c": 40.0}, waits_for="for c")
    others: dict[str, GroupStanding | str] = {"b": standing("b", "abc", seq=6), "c": "it is down", "d": "no way"}
    found = put_together(own, others, {"c": 12.0})
    rows = {it.node: it for it in found.voters}
    assert {node: it.place for node, it in rows.items()} == {
        "a": "leader", "b": "voter", "c": "leaving", "d": "coming in",
    }  # fmt: skip
    assert [rows[node].connected for node in "abc"] == [True, True, False]
    assert [rows[node].seq for node in "abcd"] == [7, 6, None, None]
    assert (rows["c"].missing_s, rows["c"].trouble, rows["b"].missing_s) == (40.0, "it is down", None)
    assert (found.leader_id, found.waits_for) == ("a", "for c")


def test_a_node_that_does_not_vote_repeats_the_leader():
    own = standing("w", "abc", runs="follower", term=None, serves=False)
    leader = standing("a", "abc", waits_for="for b", silent_s={"b": 30.0})
    found = put_together(own, {"a": leader, "b": "it is down", "c": "it is down"}, {})
    assert (found.waits_for, [it.missing_s for it in found.voters]) == ("for b", [None, 30.0, None])
    assert {it.connected for it in found.voters} == {None}
