"""Which node is asked, and what is said when none answers or it refuses."""

from pathlib import Path

import pytest

from config.environment import DEFAULT_URL, ConfigError
from p2p.cli.asking import ANSWER_BYTES_MAX, Asked, answer, node_meant, told
from p2p.cli.ending import UnreachableError
from p2p.http.errors import RequestError
from p2p.http.node_socket import socket_name, write_record
from ringrift_core.errors import RingriftError
from tests.recorded_node import recorded_node

TOKEN = "a token of the admin"
REFUSED = {"error": {"code": "forbidden", "message": "not yours", "details": ["ask the admin"]}}


def test_options_go_before_variables_and_those_before_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    variables = {"P2P_ORCHESTRATOR_URL": "http://b:1", "RINGRIFT_COORDINATOR_URL": "http://c:1"}
    assert node_meant("https://a:1/", None, variables) == Asked(url="https://a:1")
    assert node_meant(None, tmp_path, variables) == Asked(data_dir=tmp_path)
    assert node_meant(None, None, {**variables, "RINGRIFT_P2P_URL": "http://a:1"}).url == "http://a:1"
    assert node_meant(None, None, variables).url == "http://b:1"
    assert node_meant(None, None, {}).url == DEFAULT_URL
    write_record(tmp_path, Path("/nowhere") / socket_name(tmp_path))
    assert node_meant(None, None, {}) == Asked(data_dir=Path())


@pytest.mark.parametrize(
    "url",
    ["gpu-1:8770", "ftp://a", "http://", "http://me:secret@a", "http://a/?x=1", "http://a:0", "http://a:x", "a b"],
)
def test_what_is_no_url_is_refused(url: str):
    with pytest.raises(ConfigError, match="write a URL such as"):
        node_meant(url, None, {})
    with pytest.raises(ConfigError, match="RINGRIFT_P2P_URL"):
        node_meant(None, None, {"RINGRIFT_P2P_URL": url})


def test_one_node_is_asked():
    with pytest.raises(ConfigError, match="either --url or --data-dir"):
        node_meant("http://a:1", Path(), {})


def test_where_no_node_answers_it_is_said_what_to_do(tmp_path: Path):
    with pytest.raises(
        UnreachableError, match=r"Connection refused.*say --url or --data-dir|Connection refused.*--url"
    ):
        answer(Asked(url="http://127.0.0.1:1"), "/status")
    with pytest.raises(UnreachableError, match=f"no node runs in {tmp_path}; start it: ringrift-p2p --data-dir"):
        answer(Asked(data_dir=tmp_path), "/status")


def test_the_token_is_shown_to_the_node_and_to_nobody_else():
    with recorded_node({"GET /jobs": {"jobs": []}, "GET /away": (302, b"")}) as node:
        asked = Asked(url=node.url, token=TOKEN.replace(" ", "-"))
        assert told(asked, "/jobs") == {"jobs": []}
        assert node.asked[-1][1]["Authorization"] == f"Bearer {asked.token}"
        with pytest.raises(RequestError, match="status 302"):
            answer(asked, "/away")
        assert str(asked.token) not in repr(asked)
        with pytest.raises(ConfigError, match="RINGRIFT_ADMIN_TOKEN is no token"):
            answer(Asked(url=node.url, token="two words"), "/jobs")


def test_a_refusal_is_said_in_the_words_of_the_node():
    with recorded_node({"GET /a": (403, REFUSED), "GET /b": (401, REFUSED), "GET /c": (500, b"<html>")}) as node:
        for path, words in (
            ("/a", "not yours; ask the admin"),
            ("/b", "set RINGRIFT_ADMIN_TOKEN"),
            ("/c", "refuses it with status 500"),
            ("/d?x=1", "knows no /d: it is of another version"),
        ):
            with pytest.raises(RequestError, match=words):
                answer(Asked(url=node.url), path)
        with pytest.raises(RequestError, match="RINGRIFT_ADMIN_TOKEN is not the node's token"):
            answer(Asked(url=node.url, token="wrong"), "/b")


def test_what_is_no_answer_of_a_node_is_refused():
    with recorded_node({"GET /a": b"[1]", "GET /b": b"x" * (ANSWER_BYTES_MAX + 1), "GET /c": b"[" * 100_000}) as node:
        for path in ("/a", "/b", "/c"):
            with pytest.raises(RingriftError, match="no node of RingRift"):
                told(Asked(url=node.url), path)


def test_a_node_that_fails_still_says_how_it_is():
    with recorded_node({"GET /health": (503, {"status": "failing"})}) as node:
        assert told(Asked(url=node.url), "/health") == {"status": "failing"}
