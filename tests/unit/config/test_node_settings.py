"""Where a node listens, whom it meets, whether it computes."""

import pytest
from pydantic import ValidationError

from config.environment import ConfigError
from config.loading import load
from config.sections import PEERS_MAX, NodeSettings


def test_a_node_listens_on_loopback_and_is_a_cluster_of_one():
    node = NodeSettings()
    assert (node.host, node.port, node.peers, node.advertise) == ("127.0.0.1", 8770, (), None)
    assert (node.swim_enabled, node.raft_enabled) == (True, True)


@pytest.mark.parametrize("address", ["10.0.0.1:8770", "gpu-2:1", "a.b-c.example:65534", "[::1]:8770", "node_1:8770"])
def test_an_address_is_a_host_and_a_port(address):
    assert NodeSettings(peers=(address,), advertise=address).peers == (address,)


@pytest.mark.parametrize(
    "address",
    ["", "a", ":8770", "a:", "a:0", "a:65535", "a:08", "a:\uff18", "a:1:2", "::1:8770", "[::1]", "[a]:1", "[1.2.3.4]:1",
     "[::g]:1", "1.2.3:8770", "256.1.1.1:8770", "a b:1", "http://a:1", "-a:1", "a..b:1", "a:1\n", "a/b:1", "@a:1",
     f"{'a' * 300}:1", "[]:1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address):
    for fields in ({"peers": (address,)}, {"advertise": address}):
        with pytest.raises(ValidationError):
            NodeSettings(**fields)


def test_the_refusal_says_what_to_write():
    with pytest.raises(ConfigError, match=r"command line: node\.peers is .*; '::1:8770' is no address; write an IPv6"):
        load(overrides={"node.peers": ("::1:8770",)}, environment={})
    with pytest.raises(ConfigError, match=r"node\.advertise is 'a'; 'a' is no address; write HOST:PORT"):
        load(overrides={"node.advertise": "a"}, environment={})
    with pytest.raises(ConfigError, match=r"node\.host is '1\.2'; '1\.2' is no IPv4 address"):
        load(overrides={"node.host": "1.2"}, environment={})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "gpu-1", "127.0.0.1"])
def test_a_node_listens_at_an_address_or_a_name(host):
    assert NodeSettings(host=host).host == host


def test_peers_are_bounded_and_there_once():
    many = tuple(f"n{number}:8770" for number in range(PEERS_MAX + 1))
    assert len(NodeSettings(peers=many[1:]).peers) == PEERS_MAX
    with pytest.raises(ValidationError, match=f"at most {PEERS_MAX}"):
        NodeSettings(peers=many)
    with pytest.raises(ValidationError, match="a:1 is there twice"):
        NodeSettings(peers=("a:1", "b:1", "a:1"))


@pytest.mark.parametrize("name", ["RINGRIFT_SWIM_ENABLED", "RINGRIFT_RAFT_ENABLED"])
def test_swim_and_raft_can_be_left_out_by_a_single_node_only(name):
    flag = name.removeprefix("RINGRIFT_").lower()
    alone = load(environment={name: "false"}).settings.node
    assert getattr(alone, flag) is False
    with pytest.raises(ConfigError, match=f"{flag} is false, and there are peers; write true, or leave out the peers"):
        load(environment={name: "false"}, overrides={"node.peers": ("a:8770",)})


@pytest.mark.parametrize(
    ("name", "computes"), [("RINGRIFT_IS_COORDINATOR", False), ("RINGRIFT_DISABLE_LOCAL_TASKS", False)]
)
def test_a_coordinator_never_computes_and_neither_does_who_disables_local_tasks(name, computes):
    assert load(environment={name: "true"}).settings.node.computes is computes
    assert load(environment={name: "false"}).settings.node.computes is True
