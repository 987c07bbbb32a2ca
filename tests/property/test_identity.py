"""Envelopes: any change is refused, none is taken twice. Decoders: no bytes get through or break them."""

import json
from dataclasses import fields, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.http.json_body import too_deep
from p2p.identity.envelope import Address, Call, Known, Room, Sender, Verifier, open_header, seal
from p2p.identity.node_key import NodeKey, base64_text, bytes_of
from p2p.identity.principals import Principal
from tests.property import SCALE
from tests.property.hostile_bytes import decode_all, depth_of, soak

KEYS = {name: NodeKey(name.encode().ljust(32)) for name in ("a", "b", "c")}
NOW = 1_700_000_000.0
NAMES = st.text("abcXYZ019", min_size=1, max_size=8)
CALLS = st.builds(Call.of, st.sampled_from(["GET", "POST"]), st.text(max_size=30), st.binary(max_size=30))


class Keys:
    def known(self, node_id: str) -> Known | None:
        return Known(KEYS[node_id].public, Principal.VOTER) if node_id in KEYS else None


class AllOneKey:
    def known(self, node_id: str) -> Known | None:
        return Known(KEYS["a"].public, Principal.VOTER)


@given(CALLS, NAMES, NAMES, st.integers(0, 1 << 40), st.binary(min_size=12, max_size=12), st.data())
@settings(max_examples=150 * SCALE, deadline=None)
def test_any_change_of_any_signed_field_is_refused(call, audience, cluster, epoch, nonce, data):
    header = seal(call, "a", Address(audience, cluster, epoch), KEYS["a"], now=NOW, nonce=nonce)

    def found(call: Call, header: str) -> object:
        return Verifier(cluster, audience, AllOneKey(), since=0).check(call, header, now=NOW, epoch=0)

    assert found(call, header) == Sender("a", Principal.VOTER)
    name = data.draw(st.sampled_from([it.name for it in fields(Call)]))
    other = data.draw(CALLS)
    if getattr(other, name) != getattr(call, name):
        assert not isinstance(found(replace(call, **{name: getattr(other, name)}), header), Sender)
    content = json.loads(bytes_of(header))
    field = data.draw(st.sampled_from(sorted(content)))
    change: object = data.draw(st.integers(0, 1 << 40) if field == "epoch" else NAMES)
    if field in {"nonce", "signature"}:
        size = 12 if field == "nonce" else 64
        change = base64_text(data.draw(st.binary(min_size=size, max_size=size)))
    elif field == "timestamp":
        change = f"{data.draw(st.floats(NOW - 50, NOW + 50)):.6f}"
    if change != content[field]:
        changed = base64_text(json.dumps(content | {field: change}).encode())
        assert open_header(changed) is not None
        assert not isinstance(found(call, changed), Sender)


@given(CALLS, st.integers(0, 5000), st.integers(0, 255))
@settings(max_examples=150 * SCALE, deadline=None)
def test_any_other_byte_in_the_header_is_refused(call, place, byte):
    header = seal(call, "a", Address("here", "c", 1), KEYS["a"], now=NOW, nonce=bytes(12)).encode()
    place %= len(header)
    other = header[:place] + bytes([byte]) + header[place + 1 :]
    if other != header:
        found = Verifier("c", "here", AllOneKey(), since=0).check(call, other.decode("latin-1"), now=NOW, epoch=0)
        assert not isinstance(found, Sender)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(KEYS)),
        st.integers(0, 5),  # which nonce
        st.sampled_from([0, 0, 0, 1, 30, 61, 130, -1, -61, -200, 4000]),  # how the clock moves
        st.sampled_from([0, 0, -59, 59, -70]),  # how the sender's clock differs
        st.booleans(),  # send an old one again
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=150 * SCALE, deadline=None)
def test_nothing_is_taken_twice_however_the_clock_jumps(steps):
    one = Verifier("c", "here", Keys(), since=NOW - 1, room=Room(senders=2, each=3))
    call, now = Call.of("GET", "/", b""), NOW
    sent: list[str] = []
    taken: set[str] = set()
    for number, (sender, nonce, step, skew, again) in enumerate(steps):
        now += step
        if again and sent:
            header = sent[nonce * number % len(sent)]
        else:
            address = Address("here", "c", 1)
            unique = bytes(10) + bytes([nonce, 0])
            header = seal(call, sender, address, KEYS[sender], now=max(0, now + skew), nonce=unique)
        sent.append(header)
        if isinstance(one.check(call, header, now=now, epoch=1), Sender):
            assert header not in taken
            taken.add(header)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda it: it.encode("utf-8", "replace"))))
@settings(max_examples=200 * SCALE, deadline=None)
def test_no_bytes_get_through_or_break_a_decoder(content: bytes):
    decode_all(content)


def test_damaged_ones_do_not_either():
    soak(600 * SCALE, seed=1)


VALUES = st.recursive(
    st.one_of(st.none(), st.text(max_size=6), st.integers()),
    lambda it: st.lists(it, max_size=2) | st.dictionaries(st.text(max_size=3), it, max_size=2),
    max_leaves=12,
)


@given(VALUES, st.integers(1, 6), st.booleans())
@settings(max_examples=200 * SCALE, deadline=None)
def test_depth_is_counted_as_it_is(value, limit: int, ascii_only: bool):
    content = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert too_deep(content, limit) == (depth_of(value) > limit)


def test_depth_is_counted_in_one_pass_over_hostile_texts():
    """Quadratic work on these would take minutes."""
    for content in (b'"' * (1 << 16), b'\\"' * (1 << 15), b'"' + b'\\"' * (1 << 15) + b"\\", b"[]" * (1 << 15)):
        assert not too_deep(content, 32)
    assert too_deep(b"[" * (1 << 16), 32)
    assert not too_deep(b'"' + b"[" * 1000, 32)
