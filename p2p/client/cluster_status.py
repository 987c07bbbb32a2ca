"""What /status says, as it came; and where the champion's net is."""

import asyncio
import time
from collections.abc import Callable, Mapping

from pydantic import ConfigDict

from managers.cluster_rows import distribution
from managers.state.record import Digest
from p2p.client.attached import Attached, attached
from p2p.client.node_http import Answer, NodeHttp, node_http
from ringrift_core.errors import RingriftError, RulesError
from ringrift_core.game.config_key import ConfigKey

STATUS = "/status"
DISTRIBUTION_S = 300.0  # the documents' RINGRIFT_DISTRIBUTION_TIMEOUT
LOOK_S = 1.0  # between two looks at a distribution
NAMES = (("canonical_", ".pth"), ("ringrift_best_", ".pth"))  # of production nets


class StatusAnswer(Answer):
    """Everything, as the node says it."""

    model_config = ConfigDict(frozen=True, extra="allow")


class ChampionAnswer(Answer):
    """A champion."""

    sha256: Digest


class WhereAnswer(Answer):
    """Where a champion's net is."""

    nodes: tuple[str, ...]  # that have verified it
    missing: tuple[str, ...]


class DistributionAnswer(Answer):
    """The part of /status that tells where nets are."""

    champions: Mapping[str, ChampionAnswer]
    model_distribution: Mapping[Digest, WhereAnswer]


def status() -> dict[str, object]:
    """What GET /status says (docs/formats/status.md); RulesError inside a node, whose objects say it themselves."""
    if attached() is not None:
        raise RulesError("inside a node ask its objects: node.consensus.state, node.supervisor.status()")
    return node_http().get(STATUS, StatusAnswer).model_dump()


def check_model_availability(model: str) -> dict[str, bool]:
    """Which nodes have the champion's net as `canonical_<config>.pth`, verified, by node id.

    RulesError for another name and where there is no champion.
    """
    key = game_of(model)
    here = attached()
    if here is not None:
        here.refuse_here()
        return _own(here, key)
    return _asked(node_http(), key)


async def wait_for_model_distribution(
    model: str,
    timeout: float = DISTRIBUTION_S,  # noqa: ASYNC109 - the documents' signature
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until every node has the champion's net; TimeoutError that names those that do not by then."""
    deadline = monotonic() + timeout
    while True:
        found = await asyncio.to_thread(check_model_availability, model)
        missing = [node for node, has in found.items() if not has]
        if found and not missing:
            return
        if monotonic() >= deadline:
            raise TimeoutError(f"{model} is not everywhere after {timeout:g} s: missing on {', '.join(missing)}")
        await asyncio.sleep(LOOK_S)


def game_of(model: str) -> ConfigKey:
    """The configuration of a production net's file name; RulesError for another file."""
    name = model.rpartition("/")[2]
    for head, tail in NAMES:
        if name.startswith(head) and name.endswith(tail):
            return ConfigKey.parse(name.removeprefix(head).removesuffix(tail))
    raise RulesError(f"{model[:100]!r} is no production net; say canonical_hex8_2p.pth or the like")


def _asked(http: NodeHttp, key: ConfigKey) -> dict[str, bool]:
    answer = http.get(STATUS, DistributionAnswer)
    champion = answer.champions.get(str(key))
    if champion is None:
        raise RulesError(f"{key} has no champion")
    where = answer.model_distribution.get(champion.sha256)
    if where is None:
        raise RingriftError(f"the node says nothing of {champion.sha256[:16]}, which it has just promoted; ask again")
    return {**dict.fromkeys(where.nodes, True), **dict.fromkeys(where.missing, False)}


def _own(here: Attached, key: ConfigKey) -> dict[str, bool]:
    node = here.node
    champion = node.consensus.state.learner(str(key)).champion
    if champion is None:
        raise RulesError(f"{key} has no champion")
    present = node.installer.registry.production(key)
    own = {} if present is None else {str(key): present.sha256}
    installed = {**node.installer.elsewhere(), node.identity.node: own}
    found = distribution(node.consensus.state, node.consensus.state.learner(str(key)), champion, installed)
    return {**dict.fromkeys(found.nodes, True), **dict.fromkeys(found.missing, False)}
