"""Envelopes: each refusal, and that nothing is taken twice, whatever the clock does."""

import tracemalloc
from dataclasses import replace

import pytest

from p2p.identity.envelope import (
    HEADER_CHARS_MAX,
    Address,
    Call,
    Envelope,
    Known,
    Room,
    Sender,
    Verifier,
    _Seen,
    open_header,
    seal,
    signed_bytes,
)
from p2p.identity.node_key import NodeKey, base64_text, bytes_of
from p2p.identity.principals import Principal
from p2p.identity.refusal import Refusal

NOW, EPOCH = 1_700_000_000.25, 7
KEYS = {name: NodeKey(name.encode().ljust(32)) for name in ("a", "b", "c", "d")}
CALL = Call.of("POST", "/jobs/17?x=1", b"body")
HERE = Address("here", "cluster", EPOCH)
CALLS = 32  # of each of many senders


class Keys:
    def known(self, node_id: str) -> Known | None:
        return Known(KEYS[node_id].public, Principal.WORKER) if node_id in KEYS else None


def verifier(since: float = NOW - 1000, room: Room | None = None) -> Verifier:
    return Verifier("cluster", "here", Keys(), since=since, room=room)


def sealed(number: int = 1, sender: str = "a", now: float = NOW, call: Call = CALL, address: Address = HERE) -> str:
    key = KEYS.get(sender, KEYS["a"])
    return seal(call, sender, address, key, now=now, nonce=number.to_bytes(12, "big"))


def code(found: Sender | Refusal) -> str:
    return found.code if isinstance(found, Refusal) else "taken"


def check(one: Verifier, header: str, now: float = NOW, call: Call = CALL) -> str:
    return code(one.check(call, header, now=now, epoch=EPOCH))


def test_a_call_is_taken_with_the_principal_of_its_sender_and_taken_once():
    one, header = verifier(), sealed()
    assert one.check(CALL, header, now=NOW, epoch=EPOCH) == Sender("a", Principal.WORKER)
    assert check(one, header) == "replayed"
    assert check(one, sealed(2)) == "taken"
    assert check(one, sealed(1, "b")) == "taken"  # the same nonce of another sender
    assert check(verifier(), header) == "taken"


def test_the_longest_envelope_fits_into_its_header():
    name = "n" * 64
    longest = replace(HERE, audience=name, cluster_id="c" * 64, epoch=(1 << 63) - 1)
    header = seal(CALL, name, longest, KEYS["a"], now=999_999_999_999.0, nonce=b"\xff" * 12)
    assert len(header) <= HEADER_CHARS_MAX
    assert open_header(header) is not None


@pytest.mark.parametrize(
    ("wrong", "status", "expected"),
    [
        (sealed(sender="stranger"), 401, "unknown_sender"),
        (seal(CALL, "a", HERE, KEYS["b"], now=NOW, nonce=bytes(12)), 401, "bad_signature"),
        (sealed(address=replace(HERE, audience="there")), 401, "other_audience"),
        (sealed(address=replace(HERE, cluster_id="other")), 401, "other_cluster"),
        (sealed(address=replace(HERE, epoch=EPOCH - 1)), 409, "old_epoch"),
        (sealed(now=NOW - 60.001), 401, "clock_off"),
        (sealed(now=NOW + 60.001), 401, "clock_off"),
        ("", 400, "malformed_envelope"),
    ],
)
def test_refusals(wrong: str, status: int, expected: str):
    found = verifier().check(CALL, wrong, now=NOW, epoch=EPOCH)
    assert isinstance(found, Refusal)
    assert (found.code, found.status) == (expected, status)


def test_a_wrong_clock_is_told_the_time_of_the_node():
    found = verifier().check(CALL, sealed(now=NOW - 100), now=NOW, epoch=EPOCH)
    assert isinstance(found, Refusal)
    assert found.details == {"server_time": NOW}


@pytest.mark.parametrize(
    "other",
    [
        Call.of("PUT", "/jobs/17?x=1", b"body"),
        Call.of("POST", "/jobs/17?x=2", b"body"),
        Call.of("POST", "/jobs/17", b"body"),
        Call.of("POST", "/jobs/17?X=1", b"body"),
        Call.of("post", "/jobs/17?x=1", b"body"),
        Call.of("POST", "/jobs/17?x=1", b"bodY"),
        Call.of("POST", "/jobs/17?x=1", b""),
    ],
)
def test_an_envelope_is_for_one_request_only(other: Call):
    assert check(verifier(), sealed(), call=other) == "bad_signature"


def test_fields_do_not_flow_into_each_other():
    envelope = open_header(sealed())
    assert envelope is not None
    shifted = (Call("POST/", "x", CALL.body_sha256), Call("POST", "/x", CALL.body_sha256))
    assert signed_bytes(shifted[0], envelope) != signed_bytes(shifted[1], envelope)
    moved = envelope.model_copy(update={"sender": "ab", "audience": "c"})
    assert signed_bytes(CALL, moved) != signed_bytes(CALL, moved.model_copy(update={"sender": "a", "audience": "bc"}))


def test_what_is_not_signed_is_not_remembered():
    """Else anybody could spoil the calls of others, or fill the memory."""
    one, forged = verifier(), seal(CALL, "a", HERE, KEYS["b"], now=NOW, nonce=(1).to_bytes(12, "big"))
    assert check(one, forged) == "bad_signature"
    assert check(one, sealed(1)) == "taken"


def test_a_call_is_remembered_until_its_time_is_over():
    one, header = verifier(), sealed(now=NOW + 60)
    assert check(one, header) == "taken"
    for later in (1.0, 60.0, 119.9, 120.0):
        assert check(one, header, NOW + later) == "replayed"
        assert check(one, sealed(2 + int(later), now=NOW + later), NOW + later) == "taken"
    assert check(one, header, NOW + 120.1) == "clock_off"


def test_a_clock_that_goes_back_brings_no_call_back():
    one, header = verifier(), sealed()
    assert check(one, header) == "taken"
    assert check(one, sealed(2, now=NOW + 500), NOW + 500) == "taken"  # the first one is forgotten here
    assert check(one, header, NOW) == "clock_off"
    assert check(one, sealed(3, now=NOW + 1), NOW) == "taken"


def test_what_was_sealed_before_this_process_began_is_not_taken():
    one = verifier(since=NOW)
    assert check(one, sealed(1, now=NOW - 1)) == "clock_off"
    assert check(one, sealed(2, now=NOW + 0.001)) == "taken"


def test_a_full_memory_refuses_and_forgets_no_live_call():
    one = verifier(room=Room(each=3))
    headers = [sealed(number) for number in range(4)]
    assert [check(one, header) for header in headers] == ["taken"] * 3 + ["too_many_calls"]
    found = one.check(CALL, headers[3], now=NOW, epoch=EPOCH)
    assert isinstance(found, Refusal)
    assert found.status == 503
    assert [check(one, header) for header in headers[:3]] == ["replayed"] * 3
    assert check(one, sealed(9, "b")) == "taken"  # others are not held up
    assert check(one, sealed(10, now=NOW + 121), NOW + 121) == "taken"


def test_too_many_senders_are_refused_until_one_is_quiet():
    one = verifier(room=Room(senders=2))
    assert [check(one, sealed(1, name)) for name in "abc"] == ["taken", "taken", "too_many_senders"]
    assert check(one, sealed(2, "a", NOW + 100), NOW + 100) == "taken"
    assert check(one, sealed(3, "c", NOW + 121), NOW + 121) == "taken"  # in the place of b
    assert check(one, sealed(4, "b", NOW + 121), NOW + 121) == "too_many_senders"
    quiet = one.check(CALL, sealed(5, "b", NOW + 400), now=NOW + 400, epoch=EPOCH)
    assert isinstance(quiet, Sender)
    assert check(one, sealed(1, "b"), NOW) == "clock_off"  # though b was forgotten with its calls


def test_beyond_their_own_room_senders_share_what_there_is():
    one = verifier(room=Room(senders=3, each=5, own=1, shared=2))
    assert one.room.nonces_max == 5
    assert [check(one, sealed(number)) for number in range(4)] == ["taken"] * 3 + ["too_many_calls"]
    assert [check(one, sealed(number, "b")) for number in range(2)] == ["taken", "too_many_calls"]  # its own is left
    assert check(one, sealed(0, "c")) == "taken"
    later = NOW + 121
    assert [check(one, sealed(9 + number, "b", later), later) for number in range(4)] == ["taken"] * 3 + [
        "too_many_calls"
    ], "what a has forgotten is free again, though a has not called"
    assert check(one, sealed(20, "c", later), later) == "taken"


def test_a_thousand_workers_of_one_leader_are_remembered_within_the_memory_that_is_reckoned_with():
    seen, room = _Seen(NOW - 1000, Room()), Room()
    tracemalloc.start()
    try:
        for number in range(CALLS):
            for sender in range(1200):
                nonce = base64_text((number << 32 | sender).to_bytes(12, "big"))
                call = Envelope.model_construct(sender=f"w{sender}", timestamp=f"{NOW:.6f}", nonce=nonce)
                assert seen.take(call, NOW) is None
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert room.nonces_max * used / (1200 * CALLS) < 140e6  # bytes, if all room is taken


def test_a_nonce_is_used_whole():
    with pytest.raises(ValueError, match="12 bytes"):
        seal(CALL, "a", HERE, KEYS["a"], now=NOW, nonce=b"short")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timestamp", "1e9"), ("timestamp", "nan"), ("timestamp", "1700000000"), ("timestamp", " 1.000000"),
        ("timestamp", "-1.000000"), ("timestamp", "1.000000\n"), ("timestamp", "\u0661.000000"),
        ("epoch", -1), ("epoch", 1.0), ("epoch", "7"), ("epoch", 1 << 63), ("epoch", True), ("sender", ""),
        ("sender", "a b"), ("sender", "a\n"), ("audience", "x" * 65), ("cluster", None), ("nonce", "AAAA"),
        ("nonce", "A" * 17), ("signature", "A"), ("signature", "A" * 87), ("more", "x"),
    ],
)  # fmt: skip
def test_a_field_that_is_none_makes_no_envelope(name: str, value: object):
    import json

    content = json.loads(bytes_of(sealed()))
    assert open_header(base64_text(json.dumps(content).encode())) is not None
    assert open_header(base64_text(json.dumps(content | {name: value}).encode())) is None
    content.pop(name, None)
    if name != "more":
        assert open_header(base64_text(json.dumps(content).encode())) is None
