"""`POST /cluster/heartbeat`: how a node tells the leader that it is there; the answer tells it where it stands."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from managers.leader_word import LeaderWord
from managers.sightings import NodeReport, Sightings
from managers.state.cluster_state import ClusterState
from p2p.http.errors import RequestError, body_of
from p2p.http.guard import SENDER
from p2p.http.json_answer import Handlers, json_answer
from p2p.membership.heartbeat import HeartbeatAnswer


@dataclass(frozen=True, slots=True)
class LeaderSide:
    """A node as others report to it."""

    state: Callable[[], ClusterState]
    leads: Callable[[], bool]  # whether it holds the office now
    sightings: Sightings
    renew: Callable[[str, int, float], None]  # a node, its session, monotonic seconds: its lease goes on
    word: Callable[[ClusterState, float], LeaderWord]  # on all nodes and jobs
    wall: Callable[[], float]
    monotonic: Callable[[], float]


def heartbeat_handlers(side: LeaderSide) -> Handlers:
    """The handler."""

    async def heartbeat(request: web.Request) -> web.Response:
        report, node = await body_of(request, NodeReport), request[SENDER]
        if not side.leads():
            raise RequestError("this node does not lead", 409, code="not_leader")
        state, at = side.state(), side.monotonic()
        member = state.members.get(node)
        known = member is not None and member.session == report.session
        if known and side.sightings.heard(node, report, at):
            side.renew(node, report.session, at)
        word = side.word(state, at)
        return json_answer(HeartbeatAnswer(epoch=state.epoch, wall=side.wall(), known=known, word=word))

    return {"POST /cluster/heartbeat": heartbeat}
