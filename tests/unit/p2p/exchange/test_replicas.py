"""Which nodes keep a shard: everybody computes the same, one of them is there to stay, and a death moves little."""

from collections import Counter

from p2p.exchange.refs import Ref
from p2p.exchange.replicas import Alive, affordable, keepers, wanted_here

NODES = frozenset("abcdefgh")
DIGESTS = [f"{number:064x}" for number in range(400)]


def ref(sha256: str, *, own: bool = True, at: int = 0, size: int = 10) -> Ref:
    return Ref(
        kind="shard", game="hex8_2p", sha256=sha256, size_bytes=size, chunks=sha256, at=at, own=own, manifest=sha256
    )


def test_the_maker_keeps_its_shard_and_one_other_does():
    for sha256 in DIGESTS:
        chosen = keepers(sha256, ["a"], Alive("b", NODES))
        assert chosen[0] == "a"
        assert len(set(chosen)) == 2
        assert chosen == keepers(sha256, ["a"], Alive("h", NODES))


def test_the_copies_are_spread_evenly():
    counts = Counter(keepers(sha256, ["a"], Alive("b", NODES))[1] for sha256 in DIGESTS)
    assert set(counts) == NODES - {"a"}
    assert max(counts.values()) < 2 * len(DIGESTS) / 7


def test_the_death_of_a_node_moves_only_what_it_held():
    for sha256 in DIGESTS:
        before, after = (keepers(sha256, ["a"], Alive("b", nodes)) for nodes in (NODES, NODES - {"c"}))
        assert before == after or "c" in before


def test_without_its_maker_a_shard_lies_on_two_others():
    chosen = keepers(DIGESTS[0], ["gone"], Alive("a", NODES))
    assert len(set(chosen)) == 2


def test_one_node_that_stays_is_among_them_where_there_is_one():
    spot = NODES - {"g"}
    for sha256 in DIGESTS:
        assert keepers(sha256, ["a"], Alive("b", NODES, spot)) == ("a", "g")
        assert len(keepers(sha256, ["g"], Alive("b", NODES, spot))) == 2
        assert len(set(keepers(sha256, ["a"], Alive("b", NODES, NODES)))) == 2
        assert keepers(sha256, ["a", "b"], Alive("b", NODES, spot)) == ("a", "b")


def test_alone_one_copy_is_enough():
    alone = Alive("a", frozenset("a"))
    assert keepers(DIGESTS[0], ["a"], alone) == ("a",)
    assert alone.enough(["a"])
    assert not alone.enough(["b"])


def test_two_copies_on_nodes_that_may_vanish_are_not_enough_where_another_stays():
    alive = Alive("a", frozenset("abc"), frozenset("ab"))
    assert not alive.enough("ab")
    assert alive.enough("ac")
    assert not alive.enough("cx")
    assert Alive("a", frozenset("ab"), frozenset("ab")).enough("ab")


def test_a_node_wants_what_it_should_keep_and_lacks_the_newest_first():
    alive = Alive("b", frozenset("ab"))
    known = {sha256: [("a", ref(sha256, at=number))] for number, sha256 in enumerate(DIGESTS[:5])}
    wanted = wanted_here(known, {DIGESTS[1]}, alive)
    assert [it.sha256 for it in wanted] == [DIGESTS[4], DIGESTS[3], DIGESTS[2], DIGESTS[0]]


def test_nobody_wants_what_lies_on_enough_nodes():
    known = {sha256: [("a", ref(sha256)), ("c", ref(sha256, own=False))] for sha256 in DIGESTS}
    assert wanted_here(known, (), Alive("b", frozenset("abc"))) == []


def test_what_has_lost_a_copy_is_wanted_again():
    alive = frozenset("bcd")
    for sha256 in DIGESTS:
        known = {sha256: [("d", ref(sha256, own=False))]}
        assert any(wanted_here(known, (), Alive(node, alive)) for node in "bc")


def test_the_newest_that_fit_are_fetched_and_the_oldest_make_room():
    held = [ref(DIGESTS[number], at=number, own=False) for number in range(3)]
    wanted = [ref(DIGESTS[number], at=number) for number in (3, 4)]
    fetch, drop = affordable(held, wanted, 30)
    assert ([it.at for it in fetch], [it.at for it in drop]) == ([4, 3], [1, 0])
    assert affordable(held, wanted, 50) == ([wanted[1], wanted[0]], [])


def test_what_was_given_up_is_not_fetched_again():
    newest = [ref(DIGESTS[number], at=number, own=False) for number in (5, 6)]
    assert affordable(newest, [ref(DIGESTS[1], at=1)], 20) == ([], [])
