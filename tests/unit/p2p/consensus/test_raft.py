"""One voter against peers that the test plays: what it may say, and when."""

from types import SimpleNamespace

import pytest

from p2p.consensus import core, library_messages
from p2p.consensus.base import Base
from p2p.consensus.codec import BODY_BYTES_MAX, NO_OP
from p2p.consensus.effects import Applied, DumpWanted, Installed, Role
from p2p.consensus.raft import JOURNAL_BYTES_MAX, Raft, RaftLimits
from p2p.consensus.store import RaftStore
from p2p.consensus.wire import (
    AppendEntries,
    Command,
    CommandAnswer,
    DumpPart,
    LeadNow,
    Message,
    NextIndex,
    PreVote,
    PreVoteAnswer,
    RequestVote,
    Vote,
    WireError,
)
from ringrift_core.errors import RulesError
from tests.unit.p2p.consensus.hand import Hand, entry

BASE = (3, 0)  # index and term of the last entry of a founded group


def ask(hand: Hand, term: int, *, peer: str = "c", index: int = 3, last_term: int = 0) -> bool:
    return bool(hand.hear(peer, RequestVote(term, index, last_term)))


def test_alone_it_leads_and_agrees_at_once():
    hand = Hand("a")
    hand.raft.propose(1, b"one")
    hand.raft.propose(2, b"two")
    assert Applied(3, (b"one", b"two")) in hand.tick()
    assert (hand.standing().role, hand.standing().leader, hand.standing().voters) == (Role.LEADER, "a", ("a",))


def test_a_start_tells_the_base_and_then_what_was_agreed_on():
    hand = Hand()
    hand.append(1, BASE, entry(4, 1), entry(5, 1), commit=4)
    hand.tick(1.1)
    hand.effects.clear()
    hand.open()
    assert [it for it in hand.effects if isinstance(it, Installed | Applied)] == [
        Installed(2, b"dump"),
        Applied(3, (b"4",)),
    ]


def test_an_answer_leaves_when_the_entries_are_on_the_disk():
    hand = Hand()
    assert hand.append(1, BASE, entry(4, 1)) == [NextIndex(1, 5, reset=False, success=True)]
    hand.power_cut()
    assert hand.store[2:] == [entry(4, 1)]


def test_a_vote_is_given_once_in_a_term_also_after_a_power_cut():
    hand = Hand()
    assert ask(hand, 5, peer="b")
    assert not ask(hand, 5)
    hand.power_cut()
    assert not ask(hand, 5)
    assert ask(hand, 6)


def test_a_vote_that_is_not_stored_is_found(monkeypatch):
    keep = RaftStore.setCurrentTerm
    monkeypatch.setattr(RaftStore, "setCurrentTerm", lambda store, term, vote: keep(store, term, None))
    with pytest.raises(AssertionError):
        test_a_vote_is_given_once_in_a_term_also_after_a_power_cut()


def test_a_shorter_log_gets_no_vote():
    hand = Hand()
    hand.append(1, BASE, entry(4, 1))
    assert not ask(hand, 5, index=3, last_term=0)
    assert ask(hand, 6, index=4, last_term=1)


def test_nobody_is_told_a_higher_term_before_a_majority_would_vote():
    hand = Hand()
    hand.tick(5)
    asked = [it for it in hand.sent() if isinstance(it, PreVote)]
    assert len(asked) == 2  # both others
    assert hand.standing().term == 0
    hand.hear("d", PreVoteAnswer(asked[0].round, 9, granted=True))  # no voter
    hand.hear("b", PreVoteAnswer(asked[0].round - 1, 9, granted=True))  # an earlier round
    hand.hear("b", PreVoteAnswer(asked[0].round, 9, granted=False))
    assert hand.standing().term == 0
    hand.hear("b", PreVoteAnswer(asked[0].round, 9, granted=True))
    assert hand.standing().term == 10
    assert hand.standing().role is Role.CANDIDATE


def test_who_hears_a_leader_would_vote_for_nobody_else():
    hand = Hand()
    hand.append(1, BASE)
    asked = PreVote(7, 3, 0)
    assert hand.hear("c", asked) == [PreVoteAnswer(7, 1, granted=False)]
    hand.tick(0.45)
    assert hand.hear("c", asked) == [PreVoteAnswer(7, 1, granted=True)]
    assert hand.hear("c", PreVote(8, 2, 9)) == [PreVoteAnswer(8, 1, granted=True)]
    assert hand.hear("c", PreVote(9, 2, 0)) == [PreVoteAnswer(9, 1, granted=False)]


def test_a_vote_counts_once_and_from_a_voter_only():
    hand = Hand("a", "b", "c", "e", "f")
    hand.tick(1.3)
    asked = next(it for it in hand.sent() if isinstance(it, PreVote))
    for friend in ("b", "c"):
        hand.hear(friend, PreVoteAnswer(asked.round, 0, granted=True))
    hand.hear("b", Vote(1), Vote(1))
    hand.hear("d", Vote(1))
    assert hand.standing().role is Role.CANDIDATE
    hand.hear("c", Vote(0), Vote(1))
    assert hand.standing().role is Role.LEADER


def test_an_answer_to_another_term_commits_nothing():
    hand = Hand()
    term = hand.elect("b")
    hand.raft.propose(1, b"one")
    hand.tick()
    hand.hear("c", NextIndex(term - 1, 6, reset=False, success=True))
    hand.hear("d", NextIndex(term, 6, reset=False, success=True))  # no voter
    hand.hear("c", NextIndex(term, 60, reset=False, success=True))  # more than there is
    assert hand.applied == []
    hand.hear("c", NextIndex(term, 6, reset=False, success=True))
    assert hand.applied == [b"one"]


def test_counting_answers_to_another_term_is_found(monkeypatch):
    monkeypatch.setattr(Raft, "_take_answer", lambda raft, peer, message: raft._deliver(peer, message))
    with pytest.raises((AssertionError, KeyError)):
        test_an_answer_to_another_term_commits_nothing()


def test_a_leader_that_hears_of_a_later_term_stands_down():
    hand = Hand()
    term = hand.elect("b")
    hand.hear("c", NextIndex(term + 3, 4, reset=False, success=False))
    assert (hand.standing().role, hand.standing().term, hand.standing().leader) == (Role.FOLLOWER, term + 3, None)


def test_a_leader_of_an_earlier_term_is_told():
    hand = Hand()
    hand.append(5, BASE)
    assert hand.hear("c", AppendEntries(4, 3, 3, 0, ())) == [NextIndex(5, 4, reset=False, success=False)]
    assert hand.standing().leader == "b"


def test_entries_that_are_there_are_not_touched_again():
    hand = Hand()
    hand.append(1, BASE, entry(4, 1), entry(5, 1), commit=5)
    calls = len(hand.disk.calls)
    assert hand.append(1, BASE, entry(4, 1), entry(5, 1), commit=5) == [NextIndex(1, 6, reset=False, success=True)]
    assert len(hand.disk.calls) == calls


def test_where_logs_differ_the_first_open_entry_is_asked_for():
    hand = Hand()
    hand.append(1, BASE, *(entry(index, 1) for index in range(4, 10)), commit=5)
    assert hand.append(3, (9, 2), commit=5) == [NextIndex(3, 6, reset=True, success=False)]
    hand.append(3, (5, 1), entry(6, 3, b"other"), commit=6)
    assert hand.applied == [b"4", b"5", b"other"]


def dump_parts(base: Base, term: int = 1, size: int = 40) -> list[DumpPart]:
    content = base.encode()
    starts = range(0, len(content), size)
    return [DumpPart(term, at, at == starts[-1], content[at : at + size]) for at in starts]


NEWER = Base(9, b"newer dump", (NO_OP, 8, 1), entry(9, 1), ("a", "b", "d"))


def test_a_blank_node_takes_a_dump_and_votes_when_it_has_the_rest():
    hand = Hand(blank=True)
    hand.tick(5)
    assert hand.sent() == []  # it does not ask for votes
    assert not ask(hand, 1)
    assert hand.hear("c", PreVote(1, 9, 9)) == []
    assert hand.append(1, (12, 1), commit=9) == [NextIndex(1, 2, reset=True, success=False)]
    parts = dump_parts(NEWER)
    answers = hand.hear("b", *parts)
    assert answers[0] == NextIndex(1, 2, reset=False, success=False)  # it is there
    assert answers[-1] == NextIndex(1, 10, reset=False, success=True)
    assert Installed(9, b"newer dump") in hand.effects
    assert hand.standing().voters == ("a", "b", "d")
    hand.tick(5)
    assert not ask(hand, 2, peer="d", index=20, last_term=2)
    hand.power_cut()
    assert not ask(hand, 2, peer="d", index=20, last_term=2)
    hand.append(1, (9, 1), entry(10, 1))
    assert ask(hand, 2, peer="d", index=20, last_term=2)


@pytest.mark.parametrize("at", [0, 3, 20, 90])
def test_a_damaged_dump_is_refused(at):
    hand = Hand(blank=True)
    parts = dump_parts(NEWER, size=1 << 20)
    content = bytearray(parts[0].content)
    content[at % len(content)] ^= 1
    with pytest.raises(WireError):
        hand.hear("b", DumpPart(1, 0, last=True, content=bytes(content)))
    assert hand.store.blank


def test_a_dump_with_a_gap_is_dropped():
    hand = Hand(blank=True)
    parts = dump_parts(NEWER)
    hand.hear("b", parts[0], *parts[2:])
    assert hand.store.blank
    hand.hear("b", *parts)
    assert not hand.store.blank


def test_no_part_of_a_dump_says_that_entries_here_are_agreed_on():
    hand = Hand()
    hand.append(1, BASE, entry(4, 1), entry(5, 1, b"never agreed on"))
    known = Base(3, b"", (NO_OP, 3, 0), entry(4, 1), ("a", "b", "c"))
    newer = dump_parts(NEWER, term=2)
    hand.hear("b", *dump_parts(known, term=2), *newer[:-1])
    assert hand.applied == []
    hand.hear("b", newer[-1])
    assert hand.applied == []
    assert hand.store.getRaftCommitIndex() == 9
    hand.append(2, (9, 1), entry(10, 2), commit=10)
    assert hand.applied == [b"10"]


def test_believing_the_commit_index_of_a_dump_is_found(monkeypatch):
    def believing(message: Message) -> dict[str, object]:
        said = library_messages.to_library(message)
        return {**said, "commit_index": 9} if isinstance(message, DumpPart) else said

    monkeypatch.setattr(core, "library_messages", SimpleNamespace(
        to_library=believing, from_library=library_messages.from_library))  # fmt: skip
    with pytest.raises(AssertionError, match="never agreed on"):
        test_no_part_of_a_dump_says_that_entries_here_are_agreed_on()


def test_a_dump_of_what_is_there_already_is_dropped():
    hand = Hand()
    hand.append(1, BASE, *(entry(index, 1) for index in range(4, 12)), commit=10)
    hand.effects.clear()
    hand.hear("b", *dump_parts(NEWER))
    assert not any(isinstance(it, Installed) for it in hand.effects)
    assert len(hand.store) == 10
    ahead = Base(10, b"x", entry(10, 1), entry(11, 1), ("a", "b"))  # not known to be agreed on, but the same entries
    hand.hear("b", *dump_parts(ahead))
    assert len(hand.store) == 10


def test_a_leader_sends_its_dump_to_who_is_too_far_behind():
    hand = Hand()
    term = hand.elect("b")
    hand.effects.clear()
    hand.hear("c", NextIndex(term, 2, reset=True, success=False))
    hand.tick(0.2)
    parts = [it for it in hand.sent() if isinstance(it, DumpPart)]
    assert hand.store.base is not None
    assert b"".join(it.content for it in parts) == hand.store.base.encode()
    assert [it for it in hand.sent() if isinstance(it, AppendEntries) and it.previous_index == 3]


def test_a_dump_is_asked_for_behind_what_leads_to_it_and_trims_the_log():
    hand = Hand("a", limits=RaftLimits(compact_entries=3))
    for number in range(3):
        hand.raft.propose(number, b"%d" % number)
        hand.tick()
    news = [it for it in hand.effects if isinstance(it, Applied | DumpWanted)]
    assert news == [Applied(3, (b"0",)), Applied(4, (b"1",)), DumpWanted(4), Applied(5, (b"2",))]
    hand.raft.propose(3, b"3")
    hand.tick()
    length = len(hand.store)
    hand.raft.dumped(5, b"of another state")
    hand.tick()
    assert len(hand.store) == length
    hand.raft.dumped(4, b"state")
    hand.tick()
    assert len(hand.store) == 4
    hand.power_cut()
    assert Installed(4, b"state") in hand.effects


def test_retelling_begins_with_the_base_and_asks_again_for_the_dump():
    hand = Hand("a", limits=RaftLimits(compact_entries=2))
    for number in range(4):
        hand.raft.propose(number, b"%d" % number)
        hand.tick()
    told = [it for it in hand.raft.retell() if isinstance(it, Installed | Applied | DumpWanted)]
    wanted = next(it for it in told if isinstance(it, DumpWanted)).version
    before, behind = tuple(b"%d" % i for i in range(wanted - 2)), tuple(b"%d" % i for i in range(wanted - 2, 4))
    expected = [Installed(2, b"dump"), Applied(3, before), DumpWanted(wanted)]
    assert told == expected + ([Applied(wanted + 1, behind)] if behind else [])


def test_a_follower_sends_the_leader_what_it_is_asked_for():
    hand = Hand()
    hand.append(1, BASE)
    hand.raft.propose(1, b"one")
    hand.raft.propose(2, b"two")
    hand.tick()
    commands = [it for it in hand.sent() if isinstance(it, Command)]
    assert len(commands) == 1
    hand.hear("b", CommandAnswer(commands[0].number, 0, 4, 1))
    hand.append(1, BASE, (commands[0].command, 4, 1), commit=4)
    assert hand.applied == [b"one", b"two"]
    assert hand.refused == []


@pytest.mark.parametrize("end", ["silence", "broken connection"])
def test_a_leader_that_goes_leaves_it_open_what_became_of_a_command(end):
    hand = Hand()
    hand.append(1, BASE)
    hand.raft.propose(1, b"one")
    hand.tick()
    if end == "silence":
        hand.tick(1.3)
    else:
        hand.raft.disconnected("b")
        hand.tick()
    assert [(it.number, it.maybe) for it in hand.refused] == [(1, True)]
    assert "may have been written or not" in hand.refused[0].reason


def test_without_a_leader_a_proposal_is_refused_with_the_reason():
    hand = Hand()
    hand.raft.propose(1, b"one")
    hand.tick()
    hand.raft.disconnected("b")
    hand.raft.disconnected("c")
    hand.raft.propose(2, b"two")
    hand.tick()
    blank = Hand(blank=True)
    blank.raft.propose(3, b"three")
    blank.tick()
    reasons = [it.reason for it in (*hand.refused, *blank.refused)]
    assert ["no leader is elected yet" in reasons[0], "no connection to b, c" in reasons[1], "state" in reasons[2]] == [
        True
    ] * 3
    assert not any(it.maybe for it in (*hand.refused, *blank.refused))


def test_bodies_have_a_size_and_the_queue_has_a_bound():
    hand = Hand("a")
    with pytest.raises(RulesError):
        hand.raft.propose(1, bytes(BODY_BYTES_MAX + 1))
    for number in range(12):
        hand.raft.propose(number, bytes(BODY_BYTES_MAX))
    hand.tick()
    assert [it.number for it in hand.refused] == [7, 8, 9, 10, 11]
    assert len(hand.applied) == 7
    hand.raft.propose(20, b"again")
    hand.tick()
    assert hand.applied[-1] == b"again"


def test_a_log_that_is_never_trimmed_takes_no_more():
    hand = Hand("a")
    for number in range(8):
        for _ in range(7):
            hand.raft.propose(number, bytes(BODY_BYTES_MAX))
        hand.tick()
    assert hand.store.size_bytes < JOURNAL_BYTES_MAX + (9 << 20)
    assert {it.number for it in hand.refused} == {6, 7}
    assert "log is full" in hand.refused[0].reason
    assert [it.version for it in hand.effects if isinstance(it, DumpWanted)] != []


def test_voters_change_one_at_a_time_and_only_when_they_are_there():
    hand = Hand()
    with pytest.raises(RulesError, match="only the leader"):
        hand.raft.add_voter("d")
    term = hand.elect("b")
    with pytest.raises(RulesError, match="not agreed"):
        hand.raft.add_voter("d")  # nothing of this term is committed
    hand.hear("b", NextIndex(term, 5, reset=False, success=True))
    for wrong in ("e", "b"):
        with pytest.raises(RulesError, match=r"not connected|already"):
            hand.raft.add_voter(wrong)
    for wrong in ("a", "d"):
        with pytest.raises(RulesError, match=r"itself|no voter"):
            hand.raft.remove_voter(wrong)
    hand.raft.add_voter("d")
    with pytest.raises(RulesError, match="not agreed"):
        hand.raft.remove_voter("c")
    hand.tick()
    assert hand.standing().voters == ("a", "b", "c", "d")
    with pytest.raises(RulesError, match="not agreed"):
        hand.raft.remove_voter("c")
    for peer in ("b", "d"):
        hand.hear(peer, NextIndex(term, 6, reset=False, success=True))
    hand.raft.remove_voter("c")
    hand.tick()
    assert hand.standing().voters == ("a", "b", "d")


def test_who_votes_is_known_after_a_restart_though_it_was_not_committed():
    hand = Hand()
    term = hand.elect("b")
    hand.hear("b", NextIndex(term, 5, reset=False, success=True))
    hand.raft.add_voter("d")
    hand.tick()
    hand.power_cut()
    assert hand.standing().voters == ("a", "b", "c", "d")


def test_it_leads_when_its_leader_asks_it_to():
    hand = Hand()
    hand.append(1, BASE)
    hand.hear("c", LeadNow(1))
    assert hand.standing().role is Role.FOLLOWER
    hand.hear("b", LeadNow(1))
    assert hand.standing().role is Role.CANDIDATE
    assert hand.standing().term == 2


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x80", b"\x91\x05", b"\x91\x63", b"\x95" + bytes(5)])
def test_what_is_no_message_is_refused(frame):
    hand = Hand()
    with pytest.raises(WireError):
        hand.raft.receive("b", frame)
