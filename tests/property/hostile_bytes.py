"""What strangers may send, given to everything that decodes it; a long soak of the same.

python -c 'from tests.property.hostile_bytes import soak; soak(1_000_000, seed=1)'
"""

import json
import random
from collections.abc import Iterator
from contextlib import suppress

from p2p.http.errors import RequestError
from p2p.http.forms import SessionForm
from p2p.http.json_body import DEPTH_MAX, check_json, too_deep
from p2p.http.origin import HOST, Page, host_of, page_of
from p2p.http.peer import is_loopback, site_of
from p2p.http.routes import allowed, route_of
from p2p.identity.credentials import bearer_of
from p2p.identity.envelope import Address, Call, Verifier, open_header, seal
from p2p.identity.node_key import decode_key, encode_key
from p2p.identity.principals import Principal
from p2p.identity.refusal import Refusal
from p2p.identity.sessions import Sessions
from tests.guarded_node import CLUSTER, NODE, WALL, WORKER, Members, key_of

CALL = Call.of("GET", "/status", b"")
PIECES = (
    b"{", b"}", b"[", b"]", b'"', b"\\", b":", b",", b"null", b"1e999", b"-", b"\xff", b"\x00", b"Bearer ", b"http://",
    b"localhost", b"127.0.0.1", b"[::1]", b"%2f", b"..", b"/", b"/admin/halt", b"?", b"#", b"=", b"@", b"\r\n",
    b"\xc3\xa9", b'{"token": "', b'"sender"', b"9" * 30, b"A" * 44, b"\xef\xbb\xbf", b"[" * 40,
    b"::ffff:127.0.0.1", b":8770",
)  # fmt: skip


def good_ones() -> list[bytes]:
    """Inputs that are right, for others to be made of."""
    header = seal(CALL, WORKER, Address(NODE, CLUSTER, 5), key_of(WORKER), now=WALL, nonce=bytes(12))
    texts = (header, "Bearer a-token-of-24-characters", '{"token": "a-token-of-24-characters"}', "localhost:8770")
    return [text.encode() for text in texts] + [encode_key(bytes(32))]


def decode_all(content: bytes) -> None:
    """Everything that reads what strangers send: a value or a refusal, never another error, and never let in."""
    text = content.decode("utf-8", "surrogateescape")
    decode_headers(text)
    decode_body(content)
    assert not allowed("POST", text, Principal.ANYBODY) or text == "/session"
    route = route_of("GET", text)
    assert route is None or text.isascii()
    assert Sessions().principal_of(text, 0.0) is None
    assert is_loopback(text) in {True, False}
    assert site_of(text) is not None
    with suppress(ValueError):
        decode_key(content)


def decode_headers(text: str) -> None:
    """As they stand in a request."""
    found = Verifier(CLUSTER, NODE, Members(), since=0.0).check(CALL, text, now=WALL, epoch=5)
    envelope = open_header(text)
    assert isinstance(found, Refusal) or (envelope is not None and envelope.sender == WORKER)
    token = bearer_of(text)
    assert token is None or (token.isascii() and token in text)
    host = host_of((text,), "http")
    assert (host is None) == (HOST.fullmatch(text) is None)
    if host is not None:
        assert page_of((f"http://{text}",), ("same-origin",), host, "http") is Page.OWN
        assert page_of((text,), (), host, "http") is Page.FOREIGN


def decode_body(content: bytes) -> None:
    """What the guard lets through, the standard library can read, and it is not deep."""
    try:
        check_json(content)
    except RequestError:
        return
    if content:
        assert depth_of(json.loads(content)) <= DEPTH_MAX
        assert not too_deep(content, DEPTH_MAX)
    with suppress(ValueError):
        form = SessionForm.model_validate(json.loads(content or b"{}"))
        assert form.token not in repr(form) or len(form.token) < 16


def depth_of(value: object) -> int:
    """How deep lists and objects are nested."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def inputs(chance: random.Random) -> Iterator[bytes]:
    """Bytes by chance, pieces by chance, and right ones with a few wrong bytes, for ever."""
    right = good_ones()
    while True:
        yield chance.randbytes(chance.randrange(200))
        yield b"".join(chance.choices(PIECES, k=chance.randrange(12)))
        damaged = bytearray(chance.choice(right))
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        yield bytes(damaged)


def soak(count: int, seed: int) -> None:
    """Give that many inputs to every decoder; AssertionError, or whatever a decoder raises, with the input."""
    for _, content in zip(range(count), inputs(random.Random(seed)), strict=False):
        try:
            decode_all(content)
        except Exception as error:
            error.add_note(f"input: {content!r}")
            raise
