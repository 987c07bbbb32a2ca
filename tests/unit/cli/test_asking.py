"""Which node is asked, and what is said when none answers or it refuses."""

from pathlib import Path

import pytest

from config.environment import DEFAULT_URL, ConfigError
from p2p.cli.asking import NO_ROUTE, Asked, answer, node_meant
from p2p.client.node_errors import NodeUnreachable
from p2p.client.node_http import NodeHttp
from p2p.http.node_socket import socket_name, write_record
from ringrift_core.errors import RingriftError
from tests.http_door import Client, FakeDoor, answering, ask
from tests.recorded_node import RecordedNode

REFUSED = {"error": {"code": "forbidden", "message": "not yours", "details": ["ask the admin"]}}


def test_options_go_before_variables_and_those_before_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    variables = {"P2P_ORCHESTRATOR_URL": "http://b:1", "RINGRIFT_COORDINATOR_URL": "http://c:1"}
    assert node_meant("https://a:1/", None, variables) == Asked(NodeHttp("https://a:1", elsewhere="say another --url"))
    assert node_meant(None, tmp_path, variables) == Asked(data_dir=tmp_path)
    for said, url in (
        ({**variables, "RINGRIFT_P2P_URL": "http://a:1"}, "http://a:1"),
        (variables, "http://b:1"),
        ({}, DEFAULT_URL),
    ):
        http = node_meant(None, None, said).http
        assert http is not None
        assert http.url == url
    write_record(tmp_path, Path("/nowhere") / socket_name(tmp_path))
    assert node_meant(None, None, {}) == Asked(data_dir=Path())


@pytest.mark.parametrize(
    "url",
    ["gpu-1:8770", "ftp://a", "http://", "http://me:secret@a", "http://a/?x=1", "http://a:0", "http://a:x", "a b"],
)
def test_what_is_no_url_is_refused(url: str):
    with pytest.raises(ConfigError, match="write a URL such as") as option:
        node_meant(url, None, {})
    with pytest.raises(ConfigError, match="RINGRIFT_P2P_URL") as variable:
        node_meant(None, None, {"RINGRIFT_P2P_URL": url})
    assert "secret" not in f"{option.value} {variable.value}"


def test_one_node_is_asked():
    with pytest.raises(ConfigError, match="either --url or --data-dir"):
        node_meant("http://a:1", Path(), {})


def test_where_no_node_answers_it_is_said_what_to_do(tmp_path: Path):
    with pytest.raises(
        NodeUnreachable, match=r"Connection refused.*start one with `ringrift-p2p`, or say another --url"
    ):
        answer(node_meant("http://127.0.0.1:1", None, {}), "/status")
    with pytest.raises(NodeUnreachable, match=f"no node runs in {tmp_path}; start it: ringrift-p2p --data-dir"):
        answer(Asked(data_dir=tmp_path), "/status")


def test_the_token_is_the_one_of_the_environment():
    with RecordedNode({"GET /jobs": {"jobs": []}}) as node:
        assert answer(node_meant(node.url, None, {"RINGRIFT_ADMIN_TOKEN": "a-token"}), "/jobs") == b'{"jobs": []}'
        assert node.asked[-1].headers["Authorization"] == "Bearer a-token"
    with pytest.raises(ConfigError, match="RINGRIFT_ADMIN_TOKEN is no token"):
        node_meant("http://a:1", None, {"RINGRIFT_ADMIN_TOKEN": "two words"})


def test_a_token_that_others_can_read_on_its_way_is_warned_about_once(capsys: pytest.CaptureFixture[str]):
    for url, lines in (("http://a:1", 1), ("https://a:1", 0), ("http://localhost:1", 0)):
        node_meant(url, None, {"RINGRIFT_ADMIN_TOKEN": "a-token"})
        assert capsys.readouterr().err.count("unencrypted") == lines


def test_a_refusal_is_said_in_the_words_of_the_node():
    with (
        RecordedNode({"GET /a": (409, REFUSED)}) as node,
        pytest.raises(RingriftError, match="not yours; ask the admin"),
    ):
        answer(node_meant(node.url, None, {}), "/a")


def test_a_path_that_a_node_does_not_know_is_one_of_another_version():
    async def use(client: Client) -> None:
        said = await (await client.get("/nowhere")).json()
        assert said["error"]["message"] == NO_ROUTE

    ask(answering(FakeDoor()), use)
    with RecordedNode() as node:
        with pytest.raises(RingriftError, match="knows no /d: it is of another version"):
            answer(node_meant(node.url, None, {}), "/d?x=1")
        with pytest.raises(RingriftError, match="knows no /status/d: leave /status out of its URL"):
            answer(node_meant(f"{node.url}/status", None, {}), "/d?x=1")
