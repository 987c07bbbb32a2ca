"""The channel between voters: who may be at the other end, and that no byte of it can be touched."""

from dataclasses import replace

import msgpack
import pytest

from p2p.consensus import channel as module
from p2p.consensus.channel import (
    FRAME_BYTES_MAX,
    HELLO_BYTES_MAX,
    LENGTH,
    LENGTH_SEALED_BYTES,
    TAG_BYTES,
    Channel,
    ChannelError,
    Hello,
    decode_hello,
    encode_hello,
)
from tests.channels import KEYS, A, B, acceptor, dialler, meet, met, party
from tests.guarded_node import CLUSTER, key_of

FRAMES = (b"one", b"", b"x" * 1000, b"last")


def test_both_sides_know_each_other_and_frames_go_both_ways():
    one, other = met()
    assert (one.version, other.version) == (1, 1)
    for source, target in ((one, other), (other, one)):
        assert target.receive(b"".join(map(source.seal, FRAMES))).frames == FRAMES


def test_bytes_may_come_in_any_pieces():
    one, other = dialler(), acceptor()
    for start in (content := one.begin()):
        reply = other.receive(bytes([start])).reply
    assert content
    for byte in reply:
        proof = one.receive(bytes([byte])).reply
    stream = proof + b"".join(map(one.seal, FRAMES))
    assert [frame for byte in stream for frame in other.receive(bytes([byte])).frames] == list(FRAMES)


def test_the_dialler_may_send_frames_right_behind_its_proof():
    one, other = dialler(), acceptor()
    proof = one.receive(other.receive(one.begin()).reply).reply
    assert other.receive(proof + one.seal(b"early")).frames == (b"early",)


def test_nothing_is_said_before_a_known_voter_has_said_hello():
    assert acceptor().begin() == b""
    assert acceptor().receive(dialler().begin()[:-1]).reply == b""


def test_what_is_said_is_not_in_the_bytes():
    one, _ = met()
    assert b"secret" not in one.seal(b"a secret command")
    assert met(seed=1)[0].seal(b"same") != met(seed=5)[0].seal(b"same")


@pytest.mark.parametrize("bit", [1, 0x80])
def test_any_bit_changed_in_the_handshake_ends_it(bit: int):
    first, second, third = meet(dialler(), acceptor())

    def refused(step: int, place: int) -> bool:
        """Whether the handshake stands still or ends when one byte of one of its steps is another."""
        one, other = dialler(), acceptor()
        sent = [first, second, third]
        damaged = bytearray(sent[step])
        damaged[place] ^= bit
        sent[step] = bytes(damaged)
        try:
            reply = other.receive(sent[0]).reply
            proof = one.receive(sent[1] if step == 1 else reply).reply if reply else b""
            if step == 0 and proof:
                other.receive(proof)
            elif step == 2:
                other.receive(sent[2])
        except ChannelError:
            return True
        return one.peer is None and other.peer is None

    for step, content in enumerate((first, second, third)):
        assert [place for place in range(len(content)) if not refused(step, place)] == []


@pytest.mark.parametrize("bit", [1, 0x80])
def test_any_bit_changed_in_frames_ends_the_connection(bit: int):
    content = b"".join(map(met()[0].seal, (b"first", b"second")))
    first = LENGTH_SEALED_BYTES + TAG_BYTES + len(b"first")
    for place in range(len(content)):
        _, other = met()
        damaged = bytearray(content)
        damaged[place] ^= bit
        if place >= first:
            assert other.receive(bytes(damaged[:first])).frames == (b"first",)
            damaged = damaged[first:]
        with pytest.raises(ChannelError, match="not sealed by the other side"):
            other.receive(bytes(damaged))


def test_a_frame_that_comes_again_ends_the_connection():
    one, other = met()
    frame = one.seal(b"once")
    assert other.receive(frame).frames == (b"once",)
    with pytest.raises(ChannelError):
        other.receive(frame)


def test_frames_in_another_order_end_the_connection():
    one, other = met()
    first, second = one.seal(b"1"), one.seal(b"2")
    with pytest.raises(ChannelError):
        other.receive(second + first)


def test_a_frame_left_out_ends_the_connection():
    one, other = met()
    one.seal(b"lost")
    with pytest.raises(ChannelError):
        other.receive(one.seal(b"next"))


def test_a_frame_sent_back_ends_the_connection():
    one, _ = met()
    with pytest.raises(ChannelError):
        one.receive(one.seal(b"mine"))


def test_a_frame_of_another_connection_ends_this_one():
    old, _ = met(seed=1)
    _, new = met(seed=11)
    with pytest.raises(ChannelError):
        new.receive(old.seal(b"then"))


def test_a_whole_connection_played_again_is_refused_with_no_frame_taken():
    one, other = dialler(), acceptor()
    first, _, proof = meet(one, other)
    again = acceptor(seed=99)
    assert again.receive(first).reply
    with pytest.raises(ChannelError):
        again.receive(proof + one.seal(b"take this twice"))
    assert again.peer is None


@pytest.mark.parametrize("cut", [1, LENGTH_SEALED_BYTES, LENGTH_SEALED_BYTES + 1, LENGTH_SEALED_BYTES + TAG_BYTES + 3])
def test_a_frame_that_is_cut_off_never_comes(cut: int):
    one, other = met()
    assert other.receive(one.seal(b"half")[:cut]).frames == ()


def test_somebody_with_another_key_is_refused_on_either_side():
    with pytest.raises(ChannelError, match="voter-a: does not have the key"):
        meet(dialler(party(A, key=key_of("mallory"))), acceptor())
    with pytest.raises(ChannelError, match="voter-b: does not have the key"):
        meet(dialler(), acceptor(party(B, key=key_of("mallory"))))


def test_somebody_unknown_is_refused_before_anything_is_answered():
    with pytest.raises(ChannelError, match="no voter that this node knows"):
        meet(dialler(party("stranger")), acceptor())


def test_a_voter_that_is_forgotten_during_the_handshake_is_refused():
    keys = dict(KEYS)
    one, other = dialler(), acceptor(keys=keys)
    proof = one.receive(other.receive(one.begin()).reply).reply
    keys.clear()
    with pytest.raises(ChannelError, match="does not have the key"):
        other.receive(proof)


def test_another_cluster_is_refused_and_named():
    with pytest.raises(ChannelError, match=f"'voter-a' is of the cluster 'c-2', this node of {CLUSTER}"):
        meet(dialler(party(A, cluster="c-2")), acceptor())


def test_another_voter_than_the_one_dialled_is_refused():
    keys = {**KEYS, "voter-c": key_of("voter-c").public}
    with pytest.raises(ChannelError, match="'voter-b' answers where voter-c should be"):
        meet(dialler(to="voter-c", keys=keys), acceptor())


def test_versions_that_do_not_meet_are_refused_and_named(monkeypatch):
    new = acceptor()
    monkeypatch.setattr(module, "VERSIONS", (2, 3))
    with pytest.raises(ChannelError, match="speaks the versions 2 to 3, this node 1 to 1; bring both to one release"):
        meet(dialler(), new)


def test_the_newest_version_that_both_speak_is_taken_and_cannot_be_talked_down(monkeypatch):
    monkeypatch.setattr(module, "VERSIONS", (1, 3))
    one, other = dialler(), acceptor()
    meet(one, other)
    assert (one.version, other.version) == (3, 3)
    one, other = dialler(), acceptor()
    lower = encode_hello(replace(decode_hello(one.begin()[LENGTH.size :]), newest=1))
    reply = other.receive(LENGTH.pack(len(lower)) + lower).reply
    with pytest.raises(ChannelError):
        one.receive(reply)


def test_a_hello_sent_back_is_refused():
    one = dialler()
    with pytest.raises(ChannelError, match="sends back what this node sent"):
        one.receive(one.begin())
    mirrored = replace(decode_hello(one.begin()[LENGTH.size :]), side="acceptor")
    for node in (A, B):
        content = encode_hello(replace(mirrored, node=node))
        with pytest.raises(ChannelError, match="sends back what this node sent"):
            dialler().receive(LENGTH.pack(len(content)) + content)


def test_two_diallers_do_not_meet():
    with pytest.raises(ChannelError, match="sends back"):
        dialler().receive(dialler(party(B), to=A, seed=7).begin())


def test_a_proof_of_one_side_is_none_of_the_other():
    """Who holds no key cannot answer a dialler with what the dialler itself has signed elsewhere."""
    one, other = dialler(), acceptor()
    one.receive(other.receive(one.begin()).reply)
    transcript = one._transcript
    signed = {side: party(B).key.sign(module._signed(side, transcript)) for side in module.Side}
    assert signed[module.Side.DIALLER] != signed[module.Side.ACCEPTOR]
    victim = dialler()
    victim._transcript, victim._claimed = transcript, B
    with pytest.raises(ChannelError, match="does not have the key"):
        victim._accept_proof(signed[module.Side.DIALLER])


def test_an_ephemeral_key_of_low_order_is_refused():
    content = encode_hello(Hello("dialler", 1, 1, CLUSTER, A, bytes(32), bytes(16)))
    with pytest.raises(ChannelError, match="its key cannot be used"):
        acceptor().receive(LENGTH.pack(len(content)) + content)


def test_a_stranger_can_make_nobody_wait_for_more_than_a_hello():
    with pytest.raises(ChannelError, match="does not begin like a voter"):
        acceptor().receive(LENGTH.pack(HELLO_BYTES_MAX + 1))
    with pytest.raises(ChannelError):
        acceptor().receive(b"GET /status HTTP/1.1\r\n")


def test_a_frame_that_is_too_large_is_neither_sealed_nor_waited_for(monkeypatch):
    one, other = met()
    monkeypatch.setattr(module, "FRAME_BYTES_MAX", 10)
    with pytest.raises(ChannelError, match="11 bytes; 10 are the most"):
        one.seal(bytes(11))
    monkeypatch.setattr(module, "FRAME_BYTES_MAX", FRAME_BYTES_MAX)
    large = one.seal(bytes(11))
    monkeypatch.setattr(module, "FRAME_BYTES_MAX", 10)
    with pytest.raises(ChannelError, match="a part of 11 bytes is too large"):
        other.receive(large[:LENGTH_SEALED_BYTES])


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("ringrift-raft/2", "dialler", 1, 1, CLUSTER, A, bytes(32), bytes(16)),
        ("ringrift-raft/1", "observer", 1, 1, CLUSTER, A, bytes(32), bytes(16)),
        ("ringrift-raft/1", "dialler", 2, 1, CLUSTER, A, bytes(32), bytes(16)),
        ("ringrift-raft/1", "dialler", 0, 1, CLUSTER, A, bytes(32), bytes(16)),
        ("ringrift-raft/1", "dialler", True, 1, CLUSTER, A, bytes(32), bytes(16)),
        ("ringrift-raft/1", "dialler", 1, 1, "", A, bytes(32), bytes(16)),
        ("ringrift-raft/1", "dialler", 1, 1, CLUSTER, "n" * 65, bytes(32), bytes(16)),
        ("ringrift-raft/1", "dialler", 1, 1, CLUSTER, A, bytes(31), bytes(16)),
        ("ringrift-raft/1", "dialler", 1, 1, CLUSTER, A, bytes(32), "x" * 16),
        ("ringrift-raft/1", "dialler", 1, 1, CLUSTER, A, bytes(32), bytes(16), 0),
    ],
)
def test_a_hello_has_one_form(fields: tuple[object, ...]):
    with pytest.raises(ChannelError, match="does not begin like a voter"):
        decode_hello(msgpack.packb(fields))


def test_a_channel_never_shows_its_keys():
    assert "key" not in repr(Channel(party(A), KEYS.get, lambda count: b"k" * count)).lower()
