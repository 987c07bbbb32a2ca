"""Which cluster a node comes into: never two of one list, whatever is lost, late or restarted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.membership.bootstrap import (
    Adoption,
    Answer,
    Ask,
    Asked,
    Bootstrap,
    Card,
    Contact,
    Enter,
    Entry,
    EntryKind,
    Heard,
    Keep,
    Kept,
    Missed,
    Tick,
    Wish,
    expected,
)
from tests.unit.p2p.membership.bootstrap_world import World

NAMES = ("a", "b", "c", "d", "e")
X, Y = Adoption(cluster_id="1" * 32, proposer="p"), Adoption(cluster_id="2" * 32, proposer="q")
LIFE = "f" * 16


def world(names: tuple[str, ...] = NAMES, seed: int = 0, *, loss: float = 0.0, crash: float = 0.0) -> World:
    number, rng = expected(len(names) - 1, None), np.random.default_rng(seed)
    made = World(dict.fromkeys(names, names), dict.fromkeys(names, number), rng, loss=loss, crash=crash)
    for name in names:
        made.start(name)
    return made


def blank(*peers: str, node: str = "b", expect: int = 2, adopted: Adoption | None = None) -> Bootstrap:
    return Bootstrap(Wish(node, "0" * 16, peers, expect, "9" * 32, 0.0), adopted)


def heard(node: str, adopted: Adoption | None = None, cluster: str | None = None) -> Heard:
    return Heard(f"{node}:1", Card(node=node, life=LIFE, adopted=adopted, cluster_id=cluster))


@pytest.mark.parametrize("seed", range(5))
def test_nodes_that_reach_each_other_found_one_cluster_and_all_come_in(seed: int):
    made = world(seed=seed)
    made.run(40)
    made.check()
    assert len(made.founded) == 1
    assert set(made.members) == set(NAMES)
    assert set(made.founded.values()) == {"a"}, "the smallest name proposes"


def test_without_the_first_one_the_next_one_proposes_after_a_while():
    made = world()
    del made.lives["a"]
    made.run(60, restarts=0.0)
    made.check()
    assert set(made.founded.values()) == {"b"}
    assert set(made.members) == {"b", "c", "d", "e"}


def test_a_minority_founds_nothing_and_joins_when_the_cut_is_mended():
    made = world()
    made.parts = [{"a", "b"}, {"c", "d", "e"}]
    made.run(60)
    made.check()
    assert set(made.members) == {"c", "d", "e"}
    made.parts = []
    made.run(60)
    made.check()
    assert set(made.members) == set(NAMES)
    assert len(made.founded) == 1


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from((0.0, 0.2, 0.6)),
    crash=st.sampled_from((0.0, 0.2, 0.5)),
    cuts=st.lists(st.lists(st.sets(st.sampled_from(NAMES)), max_size=3), max_size=4),
    lists=st.fixed_dictionaries({name: st.sets(st.sampled_from(NAMES), max_size=5) for name in NAMES}),
)
def test_no_list_ever_agrees_on_two_clusters_and_no_node_answers_two_that_are_founded(
    seed: int, loss: float, crash: float, cuts: list[list[set[str]]], lists: dict[str, set[str]]
):
    peers = {name: tuple(sorted(found - {name})) for name, found in lists.items()}
    expect = {name: expected(len(found), None) for name, found in peers.items()}
    made = World(peers, expect, np.random.default_rng(seed), loss=loss, crash=crash)
    for parts in [*cuts, []]:
        made.parts = parts
        made.run(12)
        made.check()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.sampled_from((0.0, 0.3)), crash=st.sampled_from((0.0, 0.3)))
def test_one_list_founds_at_most_one_cluster(seed: int, loss: float, crash: float):
    made = world(seed=seed, loss=loss, crash=crash)
    made.run(60)
    made.check()
    assert len(made.founded) <= 1


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from((0.0, 0.3, 0.6)),
    crash=st.sampled_from((0.0, 0.3)),
    cuts=st.lists(st.lists(st.sets(st.sampled_from(NAMES)), max_size=3), max_size=3),
)
def test_when_the_faults_end_all_come_in_without_a_person(
    seed: int, loss: float, crash: float, cuts: list[list[set[str]]]
):
    made = world(seed=seed, loss=loss, crash=crash)
    for parts in cuts:
        made.parts = parts
        made.run(12)
    made.parts, made.loss, made.crash = [], 0.0, 0.0
    made.run(80, restarts=1.0)
    made.check()
    assert len(made.founded) == 1
    assert set(made.members) == set(NAMES)


OWN = Adoption(cluster_id="9" * 32, proposer="b")


def test_a_proposer_gives_its_id_up_for_a_cluster_that_there_is():
    node = blank("a:1", adopted=OWN)
    kept = Adoption(cluster_id="1" * 32, proposer="a")
    assert node.step(0.0, heard("a", cluster="1" * 32)) == [Keep(kept)]
    assert isinstance(node.step(0.1, Kept(kept))[0], Enter)


def test_of_two_proposers_the_one_with_the_larger_name_gives_up():
    smaller, larger = Adoption(cluster_id="1" * 32, proposer="a"), Adoption(cluster_id="2" * 32, proposer="c")
    assert blank("a:1", expect=3, adopted=OWN).step(0.0, heard("a", smaller)) == [Keep(smaller)]
    assert not [it for it in blank("c:1", expect=3, adopted=OWN).step(0.0, heard("c", larger)) if isinstance(it, Keep)]


def test_an_id_that_is_founded_with_this_answer_is_not_given_up():
    smaller = Adoption(cluster_id="1" * 32, proposer="a")
    node = blank("a:1", "d:1", expect=2, adopted=OWN)
    assert node.step(0.0, heard("d", OWN)) == [Enter(Entry(EntryKind.FOUNDER, "9" * 32))]
    assert not [it for it in node.step(0.1, heard("a", smaller)) if isinstance(it, Keep)]


def test_whoever_adopted_an_id_that_its_proposer_gave_up_is_free():
    other = Adoption(cluster_id="3" * 32, proposer="a")
    node = blank("p:1", adopted=X)
    assert node.step(0.0, heard("p", other)) == [Keep(other)]
    joins = blank("p:1", adopted=X)
    assert joins.step(0.0, heard("p", cluster="3" * 32)) == [Keep(Adoption(cluster_id="3" * 32, proposer="p"))]
    silent = blank("p:1", "a:1", adopted=X)
    assert not [it for it in silent.step(0.0, heard("a", cluster="3" * 32)) if isinstance(it, Keep)]


def test_who_has_not_heard_all_its_peers_waits_before_it_proposes():
    node = blank("c:1", "a:1")
    node.step(0.0, Tick())
    node.step(0.1, Missed("a:1", "down"))
    assert not [it for it in node.step(0.2, heard("c")) if isinstance(it, Keep)]
    node.step(4.0, heard("c"))
    assert [it for it in node.step(5.3, heard("c")) if isinstance(it, Keep)]


def test_alone_a_node_founds_at_once_after_its_id_is_kept():
    node = blank(expect=1)
    assert node.step(0.0, Tick()) == [Keep(Adoption(cluster_id="9" * 32, proposer="b"))]
    assert node.step(0.0, Tick()) == []
    adoption = Adoption(cluster_id="9" * 32, proposer="b")
    assert node.step(0.0, Kept(adoption)) == [Enter(Entry(EntryKind.FOUNDER, "9" * 32))]


def test_an_id_is_kept_before_it_is_answered_and_the_second_one_is_not_taken():
    node = blank("a:1")
    assert node.step(0.0, Asked(X, 1)) == [Keep(X)]
    assert node.step(0.0, Asked(Y, 2)) == []
    assert node.card.adopted is None
    answers = [it for it in node.step(0.0, Kept(X)) if isinstance(it, Answer)]
    assert [(it.ticket, it.card.adopted) for it in answers] == [(1, X), (2, X)]
    assert blank("a:1", adopted=X).step(0.0, Asked(Y, 3))[0] == Answer(3, blank("a:1", adopted=X).card)


def test_a_cluster_that_a_peer_is_in_is_joined_and_not_another_one_founded():
    node = blank("a:1", "c:1")
    node.step(0.0, Tick())
    node.step(0.1, Missed("c:1", "down"))
    kept = Adoption(cluster_id="1" * 32, proposer="a")
    assert node.step(0.2, heard("a", cluster="1" * 32)) == [Keep(kept)]
    contact = Contact(node="a", address="a:1")
    assert node.step(0.3, Kept(kept)) == [Enter(Entry(EntryKind.FOLLOWER, "1" * 32, (contact,)))]


def test_two_clusters_or_another_one_than_was_adopted_are_for_a_person():
    node = blank("a:1", "c:1")
    node.step(0.0, heard("a", cluster="1" * 32))
    both = blank("a:1", "c:1")
    both._peers["c:1"].card, both._peers["c:1"].heard_s = heard("c", cluster="2" * 32).card, 0.0
    assert not [it for it in both.step(0.0, heard("a", cluster="1" * 32)) if not isinstance(it, Ask)]
    assert "never merged" in both.waits_for
    other = blank("a:1", adopted=Y)
    assert not [it for it in other.step(0.0, heard("a", cluster="1" * 32)) if not isinstance(it, Ask)]
    assert "has adopted 2222" in other.waits_for


def test_nobody_proposes_before_every_peer_has_answered_or_was_missed():
    node = blank("c:1", "d:1")
    node.step(0.0, Tick())
    assert not [it for it in node.step(0.1, heard("c")) if isinstance(it, Keep)]
    assert [it for it in node.step(0.2, heard("d")) if isinstance(it, Keep)]


def test_what_is_waited_for_is_said():
    node = blank("c:1", expect=2)
    node.step(0.0, Tick())
    node.step(0.1, Missed("c:1", "c:1 is down"))
    assert node.waits_for == "for 2 nodes that are in no cluster; there are 1: b; not reached: c:1 is down"
    waiting = blank("c:1", adopted=X)
    waiting.step(0.0, Tick())
    assert "for p to found the cluster 1111" in waiting.waits_for
    assert "voters forget-id" in waiting.waits_for


def test_a_node_of_the_same_name_is_found_out_and_counts_for_nobody():
    node = blank("x:1", expect=2)
    node.step(0.0, Tick())
    assert not [it for it in node.step(0.1, Heard("x:1", Card(node="b", life=LIFE))) if isinstance(it, Keep)]
    assert node.namesake == "x:1"
    assert blank("b:1").namesake is None


@pytest.mark.parametrize(
    ("peers", "said", "nodes"), [(0, None, 1), (1, None, 2), (2, None, 2), (4, None, 3), (4, 1, 1)]
)
def test_a_majority_of_the_list_and_this_node_is_expected(peers: int, said: int | None, nodes: int):
    assert expected(peers, said) == nodes
