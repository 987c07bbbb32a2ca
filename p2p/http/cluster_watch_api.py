"""What voters do for nodes that do not vote: `GET /cluster/watch`, `POST /cluster/propose`.

watch      ?since=VERSION&wait=SECONDS         records after a version, or a dump (p2p/consensus/watch_form.py)
           ?since=...&dump=VERSION&offset=N    more of a dump
propose    ?version=N, a command as JSON       its result, once applied here
"""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from managers.ports import Consensus
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Command, encode
from p2p.consensus.following import Proposed
from p2p.consensus.watch import Wanted, WatchFeed
from p2p.http.errors import RequestError, body_of
from p2p.http.guard import SENDER, Refused
from p2p.http.json_answer import Handlers, json_answer
from p2p.identity.command_rights import refusal_of

WAIT_MAX_S = 30.0  # of a long poll
BEHIND_S = 5.0  # until this voter knows what the node knew that proposes
PROPOSE_S = 8.0  # less than a node waits for one voter
NUMBER_MAX = (1 << 62) - 1
OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class VoterSide:
    """A node as others watch it and propose through it."""

    consensus: Consensus[ClusterState, Result]
    feed: WatchFeed[ClusterState]
    serves: Callable[[], bool]  # whether this node's state is that of a voter now
    clock: Callable[[], float]  # unix seconds, as the node counts them
    wall: Callable[[], float]  # unix seconds, as its machine does


def cluster_watch_handlers(side: VoterSide) -> Handlers:
    """The handlers."""

    async def watch(request: web.Request) -> web.Response:
        _must_vote(side)
        dump = number_of(request, "dump", -1)
        wanted = Wanted(
            number_of(request, "since"),
            min(WAIT_MAX_S, float(number_of(request, "wait"))),
            None if dump < 0 else (dump, number_of(request, "offset")),
        )
        return web.Response(body=await side.feed.answer(wanted), content_type=OCTETS)

    async def propose(request: web.Request) -> web.Response:
        _must_vote(side)
        command, consensus = await body_of(request, Command), side.consensus
        made_at = number_of(request, "version")
        if await consensus.changed(made_at - 1, BEHIND_S) < made_at:
            raise RequestError(f"this voter is behind version {made_at}", 503, code="behind")
        refusal = refusal_of(command, request[SENDER], consensus.state, clock=side.clock(), wall=side.wall())
        if refusal is not None:
            raise Refused(refusal)
        result = await consensus.propose(encode(command), PROPOSE_S)
        return json_answer(Proposed(result=result, version=consensus.version))

    return {"GET /cluster/watch": watch, "POST /cluster/propose": propose}


def number_of(request: web.Request, name: str, usual: int = 0) -> int:
    """A number of the query; RequestError for what is none."""
    text = request.query.get(name)
    if text is None:
        return usual
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) <= NUMBER_MAX):
        raise RequestError(f"{name} is {text[:20]!r}; write a number")
    return int(text)


def _must_vote(side: VoterSide) -> None:
    if not side.serves():
        raise RequestError("this node does not vote: ask one that does", 409, code="not_voter")
