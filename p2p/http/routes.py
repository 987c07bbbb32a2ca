"""The one table of routes: the server mounts it, the guard asks it who may, `/openapi.json` and the reference tell it.

What is not in it nobody may.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel

from managers.manual_rollback import RollbackResult
from managers.model_rows import ModelRow
from managers.promotion_desk import Ticket
from managers.sightings import NodeReport
from managers.state.commands import Command
from managers.status_records import Status
from p2p.consensus.following import Proposed
from p2p.exchange.refs import ChunkList, ManifestPage
from p2p.http import answers, forms
from p2p.http.promotion_forms import PromoteForm, RollbackForm
from p2p.identity.principals import ADMINS, EVERYBODY, FETCHERS, NODES, READERS, WATCHERS, Principal
from p2p.membership.admission import Admitted, JoinForm
from p2p.membership.bootstrap import Adoption, Card
from p2p.membership.group_standing import GroupStanding, VotersAnswer
from p2p.membership.heartbeat import HeartbeatAnswer

SEGMENT = "[A-Za-z0-9._~-]{1,128}"  # of a path, what a {name} stands for; nothing that needs an escape
PATH_CHARS_MAX = 1024
BODY_BYTES_MAX = 64 << 10
COMMAND_BYTES_MAX = 1 << 20  # a record of the log (managers/state/log_format.py)


@dataclass(frozen=True, slots=True)
class Query:
    """What may stand behind the question mark."""

    name: str
    meaning: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path whose `{name}` stand for one segment; who may use it, what is sent and what comes back."""

    method: str
    pattern: str
    principals: frozenset[Principal]
    summary: str
    answer: type[BaseModel] | None  # None: no JSON
    body: type[BaseModel] | None = None
    status: int = 200
    queries: tuple[Query, ...] = ()
    others: tuple[tuple[int, type[BaseModel]], ...] = ()  # further answers, as the summary says
    aliased: bool = False  # answered on the ports 9090 and 8780 too
    forwarded: bool = False  # done by the leader: whoever is asked hands it on
    body_bytes_max: int = BODY_BYTES_MAX


def get(
    pattern: str,
    summary: str,
    answer: type[BaseModel] | None,
    principals: frozenset[Principal] = READERS,
    queries: tuple[Query, ...] = (),
    *,
    aliased: bool = False,
    forwarded: bool = False,
) -> Route:
    """A question."""
    return Route("GET", pattern, principals, summary, answer, queries=queries, aliased=aliased, forwarded=forwarded)


def post(
    pattern: str,
    summary: str,
    body: type[BaseModel],
    answer: type[BaseModel],
    *,
    status: int = 200,
    others: tuple[tuple[int, type[BaseModel]], ...] = (),
    forwarded: bool = True,
) -> Route:
    """An order for admins, which the leader carries out unless it is about one node."""
    return Route("POST", pattern, ADMINS, summary, answer, body, status, others=others, forwarded=forwarded)


FULL = (Query("peers", "`full`: all other nodes; without it at most 50"),)
EVENTS = (
    Query("since", "a seq, or `next` of an answer; without it from the earliest that is kept"),
    Query("limit", "at most so many, 1 to 1000 (100)", number=True),
    Query("types", "names of events, separated by commas"),
)
JOBS = (
    Query("status", "`active`, `ended`, or one such as `queued`"),
    Query("game", "a configuration"),
    Query("kind", "selfplay, training, gauntlet, part or canary"),
    Query("limit", "at most so many, 1 to 1000 (100)", number=True),
)
GAME = (Query("game", "a configuration"),)
HELD = (
    Query("kind", "net, shard, match or gauntlet"),
    Query("game", "a configuration"),
    Query("cursor", "`next` of an answer"),
    Query("unless", "a root: if it is still that of all that is held, no references come"),
)
WATCH = (
    Query("since", "the version that is there; 0: none", number=True),
    Query("wait", "seconds to wait for news, at most 30", number=True),
    Query("dump", "version of a dump that was begun", number=True),
    Query("offset", "bytes of it that are there", number=True),
)
BEHIND = (Query("version", "the version by which the command was made, waited for here", number=True),)

ROUTES = (
    get("/health", "whether the node is well; 503 when not", answers.HealthAnswer, EVERYBODY, aliased=True),
    get("/status", "how the node stands, made once a second", Status, queries=FULL, aliased=True),
    get("/metrics", "for Prometheus, as text", None, aliased=True),
    get("/events", "what happened; a stream for `Accept: text/event-stream`", answers.EventsAnswer, queries=EVENTS),
    get("/jobs", "jobs, those that run first, then those that wait, then the latest ended", answers.JobsAnswer,
        queries=JOBS),
    get("/jobs/{id}", "one job: what it is, what became of it, why", answers.JobAnswer),
    get("/models", "nets of all configurations", answers.ModelsAnswer, queries=GAME),
    get("/models/{sha256}", "one net, by 8 or more digits of its digest", ModelRow),
    get("/nodes", "the members of the cluster", answers.NodesAnswer),
    get("/elo", "ratings", answers.EloAnswer, queries=GAME),
    get("/config", "settings and who said them", answers.ConfigAnswer),
    get("/openapi.json", "this table, as OpenAPI 3.1", answers.OpenApiAnswer),
    get("/manifest", "what this node holds for others, the newest first, 500 at a time; the champions installed here",
        ManifestPage, FETCHERS, HELD),
    get("/blobs/{sha256}", "a file that is held; takes a Range of bytes (206, 416)", None, FETCHERS),
    get("/blobs/{sha256}/chunks", "the digests of its chunks of 1 MiB", ChunkList, FETCHERS),
    Route("POST", "/session", EVERYBODY, "swap a token for a cookie", answers.SessionAnswer, forms.SessionForm),
    Route("DELETE", "/session", EVERYBODY, "end the session", answers.SessionEndAnswer),
    post("/events", "publish an event in this node", forms.EventForm, answers.PublishedAnswer, status=202,
         forwarded=False),
    get("/admin/promote", "requests to promote, the latest evaluation", answers.PromotionsAnswer, WATCHERS,
        forwarded=True),
    get("/admin/promote/{number}", "one request and its result", Ticket, WATCHERS, forwarded=True),
    post("/admin/promote", "judge a net and promote it if it passes; with `dry_run` only say what it would play",
         PromoteForm, Ticket, status=202, others=((200, answers.PlanAnswer),)),
    post("/admin/distribute-model", "bring the champion everywhere; with `force` another net is made the champion: "
         "a former one by a rollback, else by a promotion", forms.DistributeForm, answers.DistributionAnswer,
         others=((200, RollbackResult), (202, Ticket))),
    get("/admin/rollback", "rollbacks, newest first", answers.RollbacksAnswer, WATCHERS),
    get("/admin/rollback/{game}", "whether the champion should be taken back", answers.ShouldAnswer, WATCHERS),
    post("/admin/rollback", "make a former champion champion again", RollbackForm, RollbackResult),
    post("/admin/rollback/{game}/baseline", "write down what the production net is worth", forms.BaselineForm,
         answers.BaselineAnswer),
    post("/admin/sync", "bring now what this node should have of others: `games`, `models` or `all`", forms.SyncForm,
         answers.SyncAnswer, forwarded=False),
    post("/admin/halt", "stop all jobs and start none", forms.HaltForm, answers.OrderAnswer),
    post("/admin/resume", "go on", forms.EmptyForm, answers.OrderAnswer),
    get("/admin/daemons", "the services of the node", answers.DaemonsAnswer, WATCHERS),
    post("/admin/daemons/{name}/{action}", "start, stop or restart one", forms.EmptyForm, answers.DaemonAnswer,
         forwarded=False),
    get("/cluster/who", "who the node is and which cluster it is in, or waits for", Card),
    Route("POST", "/cluster/adopt", WATCHERS, "take the id of a cluster that is to be founded, if none is taken yet",
          Card, Adoption),
    Route("POST", "/cluster/join", WATCHERS, "be a member, by a record that is signed with the node's key", Admitted,
          JoinForm),
    Route("POST", "/cluster/heartbeat", NODES, "a node tells the leader how it is, and is told where it stands",
          HeartbeatAnswer, NodeReport),
    get("/cluster/voters", "who agrees on the state, who leads them, who is missing and what is waited for; the others "
        "are asked", VotersAnswer),
    get("/cluster/standing", "how the node stands among the voters, by its own word", GroupStanding, NODES),
    get("/cluster/watch", "what has changed in the state, for nodes that do not vote; msgpack", None, NODES, WATCH),
    Route("POST", "/cluster/propose", NODES, "a command of a node that does not vote, brought into the log", Proposed,
          Command, queries=BEHIND, body_bytes_max=COMMAND_BYTES_MAX),
)  # fmt: skip


def allowed(method: str, path: str, principal: Principal) -> bool:
    """Whether a principal may use a route."""
    route = route_of(method, path)
    return route is not None and principal in route.principals


def route_of(method: str, path: str) -> Route | None:
    """The route of a method and a path as it is on the wire, without its query; None where nobody has one.

    HEAD is taken as GET. A path with an escape, an empty segment or `..` has no route.
    """
    wanted = "GET" if method == "HEAD" else method
    return next((route for route in _routes_at(path) if route.method == wanted), None)


def methods_at(path: str) -> list[str]:
    """The methods that a path has."""
    methods = {route.method for route in _routes_at(path)}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def shape(pattern: str) -> str:
    """A pattern without the names in it: two patterns of one shape take the same paths."""
    return re.sub(r"\{[^{}]*\}", "{}", pattern)


def _routes_at(path: str) -> Iterator[Route]:
    if len(path) > PATH_CHARS_MAX:
        return
    for pattern, matcher in _matchers():
        if matcher.fullmatch(path):
            yield from (route for route in ROUTES if route.pattern == pattern)


@cache
def _matchers() -> tuple[tuple[str, re.Pattern[str]], ...]:
    patterns = dict.fromkeys(route.pattern for route in ROUTES)
    segment = f"(?!\\.\\.?(?:/|\\Z)){SEGMENT}"
    return tuple((it, re.compile(re.escape(shape(it)).replace(r"\{\}", segment))) for it in patterns)
