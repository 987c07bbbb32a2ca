"""What `ringrift-p2p up` refuses before it starts anything, and what it says at the end."""

import socket
from pathlib import Path

import pytest

from config.environment import ConfigError
from config.sections import NodeSettings
from p2p.cli.up import alone_in, last_words, left_over, make_token, refuse_taken, refuse_tls
from p2p.local_cluster.nodes import Ending
from p2p.local_cluster.plan import NodePlan, plan_of
from p2p.local_cluster.sight import ClusterSight
from ringrift_core.errors import RingriftError


def plans(folder: Path, port: int = 8770) -> tuple[NodePlan, ...]:
    return plan_of(NodeSettings(data_dir=folder, port=port), 2, 2, many_hosts=False)


def test_every_port_that_is_taken_is_named_that_of_the_consensus_too(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        for first in (port, port - 1, port - 10):  # the node's own, its consensus', the second node's
            with pytest.raises(RingriftError, match=rf"127\.0\.0\.1:{port} \(Address already in use\).*--port"):
                refuse_taken(plans(tmp_path, first))


def test_a_folder_has_one_cluster_at_a_time(tmp_path: Path):
    refused = pytest.raises(RingriftError, match="a local cluster is up there already")
    with alone_in(tmp_path), refused, alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        pass


def test_the_token_of_a_cluster_is_made_once_for_its_user_alone(tmp_path: Path):
    path = tmp_path / "cluster.token"
    make_token(path)
    token = path.read_text()
    make_token(path)
    assert path.read_text() == token
    assert (len(token.strip()) >= 32, path.stat().st_mode & 0o077) == (True, 0)


def test_nodes_of_a_larger_cluster_are_named(tmp_path: Path):
    for name in ("node-1", "node-2", "node-3", "other"):
        (tmp_path / name).mkdir()
    assert left_over(plans(tmp_path)) == ["node-3"]


def test_certificates_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="leave it out here"):
        refuse_tls(NodeSettings(tls_cert=tmp_path / "a", tls_key=tmp_path / "b"))


def test_the_last_words_name_the_files_and_how_to_play(tmp_path: Path):
    ending = Ending(0, True, 600.0, ClusterSight((), ("hex8_2p",), 600.0))
    words = last_words(ending, 900.0, {"hex8_2p": ("/a/canonical_hex8_2p.pth", "/b/canonical_hex8_2p.pth")})
    assert words[0] == "it took 10 min, and 15 min of CPU time of all processes"
    assert words[1:3] == [
        "champion of hex8_2p: /a/canonical_hex8_2p.pth",
        "champion of hex8_2p: /b/canonical_hex8_2p.pth",
    ]
    assert words[3] == "play it: ringrift play --game hex8_2p --agents human,/a/canonical_hex8_2p.pth:64"
