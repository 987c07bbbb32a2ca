"""The plan of a local cluster: cores, addresses, what each node is told, and what nobody may say for it."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.environment import PORT_MAX, ConfigError
from config.loading import load, parse_override
from config.sections import NodeSettings
from p2p.local_cluster.plan import NodePlan, Told, arguments_of, assigned, plan_of

NODE = NodeSettings(data_dir=Path("/data/c"))


def plans(nodes: int, cores: int = 2, *, many_hosts: bool = True, port: int = 8770) -> tuple[NodePlan, ...]:
    return plan_of(NODE.model_copy(update={"port": port}), nodes, cores, many_hosts=many_hosts)


def told(plan: NodePlan, given_: Told) -> dict[str, object]:
    """The settings that the arguments of a node stand for, by path."""
    words = arguments_of(plan, given_)
    pairs = list(zip(words[::2], words[1::2], strict=True))
    sets = dict(parse_override(value) for name, value in pairs if name == "--set")
    return {**{name: value for name, value in pairs if name != "--set"}, **sets}


@given(st.integers(1, 64), st.integers(1, 300))
def test_all_cores_are_given_and_no_node_has_two_more_than_another(nodes: int, cores: int):
    shares = [plan.cores for plan in plans(nodes, cores)]
    assert sum(shares) == cores
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


def test_where_there_are_many_addresses_all_ports_are_equal():
    assert [plan.address for plan in plans(3)] == ["127.0.0.1:8770", "127.0.0.2:8770", "127.0.0.3:8770"]


def test_where_there_is_one_address_the_first_port_is_the_one_that_was_said():
    found = plans(3, many_hosts=False)
    assert [plan.address for plan in found] == ["127.0.0.1:8770", "127.0.0.1:8780", "127.0.0.1:8790"]


@given(st.integers(1, 64), st.booleans())
def test_no_two_nodes_share_a_port_or_a_folder_and_all_know_each_other(nodes: int, many_hosts: bool):
    found = plans(nodes, many_hosts=many_hosts)
    ports = [port for plan in found for port in plan.ports]
    assert len(set(ports)) == 2 * nodes
    assert len({plan.folder for plan in found}) == nodes
    assert {plan.peers for plan in found} == {tuple(plan.address for plan in found)}


def test_only_the_first_node_has_alias_ports():
    assert [(plan.metrics_port, plan.health_port) for plan in plans(3)] == [(9090, 8780), (0, 0), (0, 0)]


def test_ports_that_do_not_fit_are_refused():
    plans(3, port=PORT_MAX)
    for port, many_hosts in ((0, True), (PORT_MAX, False)):
        with pytest.raises(ConfigError, match="write --port from 1 to"):
            plans(3, port=port, many_hosts=many_hosts)


def test_a_node_without_cores_starts_no_jobs_even_where_somebody_has_said_how_many():
    first, *_, last = plans(3, cores=2)
    given_ = Told(assignments={"node.cores": "2", "training.steps": "9"})
    assert (told(first, given_)["node.cores"], told(first, given_)["training.steps"]) == (1, 9)
    assert told(last, given_)["node.disable_local_tasks"] is True
    assert "node.cores" not in told(last, given_)


def test_what_a_node_is_told_are_settings_and_no_secrets(tmp_path: Path):
    plan = replace(plans(2)[1], token_file=tmp_path / 'a "b": #c' / "cluster.token")
    given_ = Told(profile="demo", games=("hex8_2p", "square8_2p"), assignments={"jobs.stop_seconds": "1"})
    found = told(plan, given_)
    assert found["node.cluster_token_file"] == str(plan.token_file)
    assert (found["--node-id"], found["--profile"], found["--game"]) == ("node-2", "demo", "hex8_2p,square8_2p")
    sets = {path: value for path, value in found.items() if not path.startswith("--")}
    overrides = {**sets, "node.peers": plan.peers, "node.node_id": plan.name}
    settings = load(overrides=overrides, environment={}).settings  # type: ignore[arg-type]
    assert (settings.node.metrics_port, settings.jobs.stop_seconds) == (0, 1)


def test_what_the_plan_makes_cannot_be_said_for_all_nodes_alike():
    assert assigned(["training.steps=5", "games=[hex8_2p]"]) == {"training.steps": "5", "games": "[hex8_2p]"}
    with pytest.raises(ConfigError, match="say --port"):
        assigned(["node.port=1"])
    with pytest.raises(ConfigError, match="leave it out"):
        assigned([" node.node_id = a"])
