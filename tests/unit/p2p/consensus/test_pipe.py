"""Records between the control process and its raft process: there and back, and nothing else."""

import msgpack
import pytest

from p2p.consensus import pipe
from p2p.consensus.effects import Applied, DumpWanted, Refused, Role, Standing
from p2p.consensus.pipe import (
    FRAME_BYTES_MAX,
    LENGTH,
    PART_BYTES,
    TO_CONTROL,
    TO_RAFT,
    Alive,
    Answered,
    BasePart,
    Begin,
    Change,
    DumpPart,
    Failed,
    Frames,
    InstalledPart,
    Listening,
    Message,
    NoDump,
    Parts,
    Peer,
    Peers,
    PipeError,
    Propose,
    Said,
    Stop,
    Wish,
    applied_parts,
    decode,
    encode,
    parts,
)

ORDERS: tuple[Message, ...] = (
    Begin("c", "a", "/k", "/s", "127.0.0.1", 8771, ("a", "b"), "lan", founded=True),
    BasePart(5, b"x", last=True),
    DumpPart(5, b"x", last=False),
    NoDump(5),
    Peers((Peer("b", "10.0.0.2", 8771, bytes(32)), Peer("c", "host", 1, bytes(32)))),
    Propose(1, b"body"),
    Change(2, Wish.ADD, "b"),
    Change(3, Wish.TRANSFER, None),
    Stop(),
)
NEWS: tuple[Message, ...] = (
    Listening(8771),
    Failed("disk full", passing=False),
    Applied(7, (b"a", b"", b"c")),
    InstalledPart(6, b"", last=True),
    DumpWanted(7),
    Refused(1, "no leader", maybe=False),
    Standing(Role.LEADER, "a", 3, quorum=True, voters=("a", "b"), applied_version=7),
    Standing(Role.FOLLOWER, None, 3, quorum=False, voters=("a", "b"), applied_version=7),
    Answered(2, ""),
    Alive(("b", "c")),
    Said(30, "a line"),
)


def frame(*values: object) -> bytes:
    content: bytes = msgpack.packb(values)
    return LENGTH.pack(len(content)) + content


@pytest.mark.parametrize(("table", "messages"), [(TO_RAFT, ORDERS), (TO_CONTROL, NEWS)])
def test_every_record_comes_out_as_it_went_in_whatever_the_pieces(table, messages):
    assert {type(it) for it in messages} == set(table)
    content = b"".join(map(encode, messages))
    for size in (1, 7, len(content)):
        frames = Frames(table)
        pieces = [content[start : start + size] for start in range(0, len(content), size)]
        assert [it for piece in pieces for it in frames.feed(piece)] == list(messages)


def test_a_record_of_the_other_direction_is_refused():
    for message in ORDERS[4:6]:
        with pytest.raises(PipeError):
            list(Frames(TO_CONTROL).feed(encode(message)))


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("0",),
        (-1,),
        (99,),
        (True,),
        (5, 1),
        (5, 1, b"body", 0),
        (5, "1", b"body"),
        (5, True, b"body"),
        (5, -1, b"body"),
        (5, 1 << 63, b"body"),
        (5, 1, "body"),
        (6, 1, "explode", "b"),
        (6, 1, "add", 5),
        (6, 1, "add", "n" * 10_001),
        (4, (("b", "h", 1, bytes(32), 0),)),
        (4, ("b",)),
        (4, {}),
        (4, msgpack.ExtType(1, b"")),
    ],
)
def test_a_record_has_its_fields_and_types_and_no_others(values):
    with pytest.raises(PipeError):
        list(Frames(TO_RAFT).feed(frame(*values)))


def test_what_is_no_array_is_refused():
    for content in (b"", b"\xc0", b"\x01", b"\xc1", b"\x91", b"\x91" * 2000, msgpack.packb({0: 1})):
        with pytest.raises(PipeError):
            decode(content, TO_RAFT)


def test_a_frame_that_is_too_large_is_not_waited_for():
    with pytest.raises(PipeError, match="a frame of"):
        list(Frames(TO_RAFT).feed(LENGTH.pack(FRAME_BYTES_MAX + 1)))
    with pytest.raises(PipeError, match="are the most"):
        encode(Propose(1, bytes(FRAME_BYTES_MAX)))


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
def test_a_dump_travels_in_parts(size: int):
    dump = bytes(range(256)) * (size // 256) + bytes(size % 256)
    together = Parts()
    found = [together.feed(part) for part in parts(InstalledPart, 4, dump)]
    assert found == [None] * (max(1, -(-size // PART_BYTES)) - 1) + [dump]
    assert together.feed(InstalledPart(5, b"next", last=True)) == b"next"


def test_parts_of_two_dumps_do_not_mix_and_end_somewhere(monkeypatch):
    together = Parts()
    together.feed(DumpPart(4, b"a", last=False))
    with pytest.raises(PipeError, match="do not belong together"):
        together.feed(DumpPart(5, b"b", last=True))
    monkeypatch.setattr(pipe, "DUMP_BYTES_MAX", 10)
    with pytest.raises(PipeError):
        Parts().feed(DumpPart(4, bytes(11), last=False))


def test_applied_bodies_go_into_frames_that_fit_and_keep_their_versions(monkeypatch):
    monkeypatch.setattr(pipe, "BODIES_BYTES_MAX", 10)
    applied = Applied(3, (b"x" * 6, b"y" * 6, b"z", b"z", b"l" * 30, b"e"))
    found = list(applied_parts(applied))
    assert [(it.version, len(it.bodies)) for it in found] == [(3, 1), (4, 3), (7, 1), (8, 1)]
    assert tuple(body for it in found for body in it.bodies) == applied.bodies
