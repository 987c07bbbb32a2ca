"""Messages between voters, bases and records of the store: what is encoded comes back, and no bytes do harm."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from p2p.consensus.base import Base, decode_base
from p2p.consensus.codec import INTEGER_MAX, MEMBERSHIP, NO_OP, bodies_command, pack
from p2p.consensus.wire import (
    AppendEntries,
    Command,
    CommandAnswer,
    DumpPart,
    LeadNow,
    NextIndex,
    PreVote,
    PreVoteAnswer,
    RequestVote,
    Vote,
    WireError,
    decode,
    encode,
)
from tests.property import SCALE

numbers = st.integers(0, INTEGER_MAX)
bodies = st.lists(st.binary(max_size=40), min_size=1, max_size=4)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
commands = st.one_of(
    bodies.map(bodies_command),
    st.just(NO_OP),
    st.tuples(st.sampled_from(("add", "rem")), names).map(lambda it: MEMBERSHIP + pack(list(it))),
)


@st.composite
def appends(draw):
    index, term = draw(st.integers(0, 1 << 40)), draw(st.integers(0, 1 << 40))
    entries = []
    last = term
    for place, command in enumerate(draw(st.lists(commands, max_size=4))):
        last += draw(st.integers(0, 3))
        entries.append((command, index + 1 + place, last))
    return AppendEntries(last + draw(st.integers(0, 9)), draw(numbers), index, term, tuple(entries))


messages = st.one_of(
    appends(),
    st.builds(DumpPart, numbers, numbers, st.booleans(), st.binary(max_size=60)),
    st.builds(NextIndex, numbers, numbers, st.booleans(), st.booleans()),
    st.builds(RequestVote, numbers, numbers, numbers),
    st.builds(Vote, numbers),
    st.builds(Command, numbers, bodies.map(bodies_command)),
    st.builds(CommandAnswer, numbers, numbers, numbers, numbers),
    st.builds(LeadNow, numbers),
    st.builds(PreVote, numbers, numbers, numbers),
    st.builds(PreVoteAnswer, numbers, numbers, st.booleans()),
)


def judge(frame: bytes) -> None:
    try:
        message = decode(frame)
    except WireError:
        return
    assert decode(encode(message)) == message


@settings(max_examples=100 * SCALE)
@given(messages)
def test_a_message_comes_back_as_it_was_sent(message):
    assert decode(encode(message)) == message


@settings(max_examples=300 * SCALE)
@given(st.binary(max_size=200))
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\x91" * 3000)
def test_bytes_are_a_message_or_a_wire_error(frame):
    judge(frame)


@settings(max_examples=300 * SCALE)
@given(messages, st.data())
def test_a_changed_message_is_a_message_or_a_wire_error(message, data):
    frame = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    judge(bytes(frame))


@settings(max_examples=100 * SCALE)
@given(st.binary(max_size=80), numbers, st.sets(names, max_size=5), st.data())
def test_a_base_comes_back_or_is_refused(dump, version, voters, data):
    base = Base(version, dump, (NO_OP, 7, 2), (bodies_command([b"x"]), 8, 3), tuple(sorted(voters)))
    content = base.encode()
    assert decode_base(content) == base
    broken = bytearray(content)
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode_base(bytes(broken))
    except ValueError:
        return
    raise AssertionError("a damaged base was taken")
