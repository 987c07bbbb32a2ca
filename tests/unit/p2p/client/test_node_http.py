"""Asking a node: what is sent, what is refused, what errors say."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from config.environment import ConfigError
from p2p.client.node_errors import NodeRefusal, NodeUnreachable
from p2p.client.node_http import Answer, NodeHttp, is_loopback, node_http, segment
from ringrift_core.errors import RingriftError, RulesError
from tests.certificates import write_certificate
from tests.recorded_node import RecordedNode

VARIABLES = ("RINGRIFT_P2P_URL", "P2P_ORCHESTRATOR_URL", "RINGRIFT_COORDINATOR_URL", "RINGRIFT_ADMIN_TOKEN")


class Hello(Answer):
    text: str


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", VARIABLES[:3])
def test_the_documented_variables_name_the_node(name: str, monkeypatch: pytest.MonkeyPatch):
    with RecordedNode({"GET /hello": {"text": "here"}}) as node:
        monkeypatch.setenv(name, node.url)
        assert node_http().get("/hello", Hello).text == "here"


def test_the_first_variable_counts_and_without_one_it_is_this_machine(monkeypatch: pytest.MonkeyPatch):
    assert node_http() == NodeHttp("http://localhost:8770")
    for number, name in reversed(list(enumerate(VARIABLES[:3]))):
        monkeypatch.setenv(name, f"http://localhost:{number + 1}/")
        assert node_http().url == f"http://localhost:{number + 1}"
    monkeypatch.setenv("RINGRIFT_P2P_URL", "localhost:8770")
    with pytest.raises(ConfigError, match="write a URL such as"):
        node_http()


def test_the_token_is_shown_to_the_node_and_to_nobody_else(monkeypatch: pytest.MonkeyPatch):
    with RecordedNode({"GET /hello": {"text": "a"}, "GET /away": (302, {})}) as node:
        monkeypatch.setenv("RINGRIFT_P2P_URL", node.url)
        node_http().get("/hello", Hello)
        assert "Authorization" not in node.asked[0].headers
        monkeypatch.setenv("RINGRIFT_ADMIN_TOKEN", "a" * 20)
        assert "a" * 20 not in repr(node_http())
        node_http().get("/hello", Hello)
        assert node.asked[1].headers["Authorization"] == f"Bearer {'a' * 20}"
        with pytest.raises(NodeUnreachable, match="302"):
            node_http().get("/away", Hello)
        assert node.of("GET /elsewhere") == []


def test_a_proxy_of_the_environment_does_not_see_the_token(monkeypatch: pytest.MonkeyPatch):
    with RecordedNode({"GET /hello": {"text": "a"}}) as node, RecordedNode() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        NodeHttp(node.url, "a" * 20).get("/hello", Hello)
        assert proxy.asked == []


@pytest.mark.parametrize(
    ("url", "token", "warned"),
    [
        ("http://no.invalid:8770", "a" * 20, True),
        ("https://no.invalid", "a" * 20, False),
        ("http://no.invalid", None, False),
        ("http://127.0.0.1:1", "a" * 20, False),
    ],
)
def test_a_token_over_plain_http_to_another_machine_is_warned_about(
    url: str, token: str | None, warned: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RINGRIFT_P2P_URL", url)
    if token is not None:
        monkeypatch.setenv("RINGRIFT_ADMIN_TOKEN", token)
    with pytest.warns(UserWarning, match="unencrypted") if warned else nullcontext():  # others are errors here
        node_http()


@pytest.mark.parametrize("token", ["two words", "secret\nsecret", "secret\r", "schlüssel"])
def test_a_token_that_no_header_can_carry_is_refused_unsaid(token: str):
    with pytest.raises(ConfigError, match="RINGRIFT_ADMIN_TOKEN is no token") as refused:
        NodeHttp("http://127.0.0.1:1", token).get("/health", Answer)
    assert token.split(maxsplit=1)[0] not in str(refused.value)


def test_what_is_this_machine():
    assert all(is_loopback(name) for name in ("localhost", "127.0.0.1", "127.9.9.9", "::1"))
    assert not any(is_loopback(name) for name in ("localhost.evil.com", "10.0.0.1", "0.0.0.0", "", "127.0.0.1.nip.io"))


def test_no_node_names_the_url_and_what_to_do():
    with pytest.raises(NodeUnreachable, match=r"no node answers at http://127\.0\.0\.1:1 .*RINGRIFT_P2P_URL"):
        NodeHttp("http://127.0.0.1:1").get("/health", Answer)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (400, RulesError, "it is wrong; a: no; b: no"),
        (401, NodeRefusal, "it is wrong.*set RINGRIFT_ADMIN_TOKEN to the node's token"),
        (403, NodeRefusal, "it is wrong.*RINGRIFT_ADMIN_TOKEN"),
        (409, NodeRefusal, "it is wrong"),
        (500, NodeRefusal, "it is wrong"),
    ],
)
def test_a_refusal_has_the_words_of_the_node(status: int, error: type[RingriftError], words: str):
    fault = {"error": {"code": "bad", "message": "it is wrong", "details": ["a: no", "b: no"]}}
    with RecordedNode({"POST /x": (status, fault)}) as node, pytest.raises(error, match=words):
        NodeHttp(node.url).post("/x", Answer, {"a": 1})


def test_details_may_have_names_and_a_refusal_need_not_be_json():
    fault = {"error": {"code": "bad_clock", "message": "no", "details": {"server_time": 5}}}
    with RecordedNode({"GET /x": (401, fault), "GET /y": (502, "gone")}) as node:
        with pytest.raises(NodeRefusal, match="no; server_time: 5") as refused:
            NodeHttp(node.url).get("/x", Answer)
        assert (refused.value.status, refused.value.code) == (401, "bad_clock")
        with pytest.raises(NodeRefusal, match="RINGRIFT_ADMIN_TOKEN is not the node's token"):
            NodeHttp(node.url, "wrong").get("/x", Answer)


def test_a_refusal_does_not_steer_the_terminal():
    fault = {"error": {"code": "bad", "message": "\x1b[31mno\nway"}}
    with RecordedNode({"GET /x": (409, fault)}) as node, pytest.raises(NodeRefusal, match=r"\?\[31mno way"):
        NodeHttp(node.url).get("/x", Answer)


@pytest.mark.parametrize("given", [(502, "gone"), (404, b"<html>"), (302, {}), (200, b"<html>"), (200, b"[]")])
def test_what_is_no_node_is_said_to_be_none(given: object):
    with RecordedNode({"GET /x": given}) as node, pytest.raises(NodeUnreachable, match="is no node of RingRift"):
        NodeHttp(node.url).get("/x", Answer)


def test_https_where_there_is_none_and_none_where_there_is_are_named(tmp_path: Path):
    with RecordedNode() as node, pytest.raises(NodeUnreachable, match="no TLS there"):
        NodeHttp(node.url.replace("http:", "https:")).get("/health", Answer)
    certificate, key = write_certificate(tmp_path)
    with RecordedNode(tls=(certificate, key)) as node:
        with pytest.raises(NodeUnreachable, match=r"not trusted: self.?signed certificate; SSL_CERT_FILE"):
            NodeHttp(node.url).get("/health", Answer)
        with pytest.raises(NodeUnreachable, match="perhaps it speaks https"):
            NodeHttp(node.url.replace("https:", "http:")).get("/health", Answer)


def test_a_status_that_is_fine_is_an_answer():
    with RecordedNode({"GET /health": (503, {"text": "failing"})}) as node:
        assert NodeHttp(node.url).get("/health", Hello, fine=(503,)).text == "failing"


@pytest.mark.parametrize(
    ("content", "words"),
    [(it, "is no node of RingRift") for it in (b"", b"{", b"[]", b"\xff", b"[" * 100_000)]
    + [(b'{"text": 5}', "answers something else")],
)
def test_what_is_no_answer_to_the_question_is_said(content: bytes, words: str):
    with RecordedNode({"GET /x": content}) as node, pytest.raises(RingriftError, match=words):
        NodeHttp(node.url).get("/x", Hello)


def test_an_answer_without_end_is_cut_off():
    with RecordedNode({"GET /x": b" " * (5 << 20)}) as node, pytest.raises(RingriftError, match="more than"):
        NodeHttp(node.url).get("/x", Hello)


def test_an_answer_that_drips_is_no_answer():
    ticks = iter(range(0, 10_000, 10))
    with RecordedNode({"GET /x": b" " * (1 << 20)}) as node, pytest.raises(NodeUnreachable, match="no whole answer"):
        NodeHttp(node.url, monotonic=lambda: next(ticks)).get("/x", Hello)


def test_a_name_is_one_segment_of_a_path():
    assert segment("../admin halt?x") == "..%2Fadmin%20halt%3Fx"
