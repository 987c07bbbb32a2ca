"""What strangers, or a broken process, may send to a raft process: taken as it is meant or refused, never else."""

import random
from contextlib import suppress

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.consensus.channel import LENGTH, Channel, ChannelError, Hello, decode_hello, encode_hello
from p2p.consensus.effects import Applied, Refused, Role, Standing
from p2p.consensus.pipe import (
    TO_CONTROL,
    TO_RAFT,
    Alive,
    BasePart,
    Begin,
    Change,
    Frames,
    Message,
    Peer,
    Peers,
    PipeError,
    Propose,
    Wish,
    encode,
)
from tests.channels import A, B, acceptor, dialler, met
from tests.property import SCALE

INTS = st.integers(0, (1 << 63) - 1)
NAMES = st.text(max_size=30)
NODES = st.lists(NAMES, max_size=4).map(tuple)
ORDERS: st.SearchStrategy[Message] = st.one_of(
    st.builds(Propose, INTS, st.binary(max_size=200)),
    st.builds(BasePart, INTS, st.binary(max_size=200), st.booleans()),
    st.builds(Change, INTS, st.sampled_from(Wish), st.none() | NAMES),
    st.builds(Peers, st.lists(st.builds(Peer, NAMES, NAMES, INTS, st.binary(max_size=32)), max_size=3).map(tuple)),
    st.builds(Begin, NAMES, NAMES, NAMES, NAMES, NAMES, INTS, NODES, NAMES, st.booleans()),
)
NEWS: st.SearchStrategy[Message] = st.one_of(
    st.builds(Applied, INTS, st.lists(st.binary(max_size=50), max_size=4).map(tuple)),
    st.builds(Refused, INTS, NAMES, st.booleans()),
    st.builds(Standing, st.sampled_from(Role), st.none() | NAMES, INTS, st.booleans(), NODES, INTS),
    st.builds(Alive, NODES),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | NAMES | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(ORDERS, max_size=5), st.lists(NEWS, max_size=5), st.data())
@settings(max_examples=25 * SCALE, deadline=None)
def test_records_come_out_as_they_went_in_however_they_are_cut(orders, news, data):
    for table, messages in ((TO_RAFT, orders), (TO_CONTROL, news)):
        content = b"".join(map(encode, messages))
        frames = Frames(table)
        found: list[object] = []
        while content:
            size = data.draw(st.integers(1, len(content)))
            found += frames.feed(content[:size])
            content = content[size:]
        assert found == messages


@given(st.binary(max_size=300) | VALUES.map(msgpack.packb) | st.lists(VALUES, max_size=9).map(msgpack.packb))
@settings(max_examples=60 * SCALE, deadline=None)
def test_any_content_of_a_frame_is_a_record_or_refused(content):
    for table in (TO_RAFT, TO_CONTROL):
        try:
            found = list(Frames(table).feed(LENGTH.pack(len(content)) + content))
        except PipeError:
            continue
        assert all(isinstance(it, table) for it in found)
        assert all(encode(it) for it in found)  # what was taken can be said


@given(st.binary(max_size=400), st.integers(1, 50))
@settings(max_examples=60 * SCALE, deadline=None)
def test_strangers_get_neither_a_peer_nor_a_frame_out_of_a_channel(content, size):
    for channel in (acceptor(), dialler()):
        try:
            for start in range(0, len(content), size):
                assert channel.receive(content[start : start + size]).frames == ()
        except ChannelError:
            pass
        assert channel.peer is None


@given(st.lists(VALUES, max_size=9).map(msgpack.packb))
@settings(max_examples=60 * SCALE, deadline=None)
def test_any_content_of_a_hello_is_one_or_refused(content):
    try:
        hello = decode_hello(content)
    except ChannelError:
        return
    assert encode_hello(hello) == content


@given(st.integers(1, 9), st.integers(0, 9), NAMES, NAMES, st.binary(min_size=32, max_size=32), st.binary(max_size=16))
@settings(max_examples=60 * SCALE, deadline=None)
def test_a_forged_hello_brings_nobody_in(oldest, newest, cluster, node, ephemeral, nonce):
    for channel, side in ((acceptor(), "dialler"), (dialler(), "acceptor")):
        for named in (node, A, B):
            content = encode_hello(Hello(side, oldest, newest, cluster, named, ephemeral, nonce))
            refused(channel, LENGTH.pack(len(content)) + content + bytes(200))


def refused(channel: Channel, content: bytes) -> None:
    """Bytes that make nobody a peer, whether they are an error or not."""
    with suppress(ChannelError):
        assert channel.receive(content).frames == ()
    assert channel.peer is None


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5), st.data())
@settings(max_examples=60 * SCALE, deadline=None)
def test_whatever_is_done_to_a_stream_of_frames_only_a_beginning_of_it_is_taken(frames, data):
    one, other = met(seed=data.draw(st.integers(0, 3)) * 2)
    sealed = [one.seal(frame) for frame in frames]
    chance = random.Random(data.draw(st.integers(0, 1 << 32)))
    stream = bytearray(b"".join(chance.choices(sealed, k=len(sealed)) if data.draw(st.booleans()) else sealed))
    for _ in range(data.draw(st.integers(0, 3))):
        stream[chance.randrange(len(stream))] ^= 1 << chance.randrange(8)
    found: list[bytes] = []
    size = data.draw(st.integers(1, 100))
    try:
        for start in range(0, len(stream), size):
            found += other.receive(bytes(stream[start : start + size])).frames
    except ChannelError:
        pass
    assert found == frames[: len(found)]
