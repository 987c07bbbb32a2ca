"""What the node knows of its cluster: `/jobs`, `/nodes`, `/models`, `/elo`, `/config`.

Lists are made in threads, from states that nobody changes; those of nets and ratings are kept for a second.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from aiohttp import web
from pydantic import BaseModel

from config.schema import Settings
from managers.cluster_rows import node_rows
from managers.event_journal import KEPT_MAX, EventJournal
from managers.job_view import Surroundings, job_detail, job_rows
from managers.model_rows import ModelRow, elo_rows, model_rows
from managers.sightings import Seen
from managers.state.cluster_state import ClusterState
from managers.state.jobs import JobStatus
from managers.status import Work
from managers.versions import PRESENT
from p2p.http.answers import ConfigAnswer, EloAnswer, JobAnswer, JobsAnswer, ModelsAnswer, NodesAnswer
from p2p.http.errors import RequestError
from p2p.http.json_answer import Handlers, limit_of, text_answer
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry

FRESH_S = 1.0  # as long as a list of nets or ratings is answered again
THREAD_S = 30.0  # for a thread to be free and the disk to answer
DIGITS_MIN = 8  # of a digest
DIGITS = frozenset("0123456789abcdef")
STATUSES = ("active", "ended", *(status.value for status in JobStatus))
KINDS = ("selfplay", "training", "gauntlet", "part", "canary")

T = TypeVar("T")


class ClusterDoor(Protocol):
    """What the answers are made of."""

    @property
    def state(self) -> ClusterState:
        """The replicated state now."""

    @property
    def settings(self) -> Settings:
        """Those of the node."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Who said each setting, by its path."""

    @property
    def registry(self) -> ModelRegistry:
        """The node's nets."""

    @property
    def journal(self) -> EventJournal:
        """What happened."""

    @property
    def work(self) -> Mapping[str, Work]:
        """The jobs that run here, by name."""

    @property
    def silent(self) -> Mapping[str, str]:
        """Other nodes that are not heard."""

    @property
    def seen(self) -> Seen:
        """What this node hears of others."""

    @property
    def unfit(self) -> Mapping[str, str]:
        """Nodes that get no jobs, and why."""

    def clock(self) -> float:
        """Unix seconds, as the node counts them."""


def cluster_handlers(door: ClusterDoor, monotonic: Callable[[], float]) -> Handlers:
    """The handlers."""
    kept = Kept(monotonic)

    async def nodes(_request: web.Request) -> web.Response:
        state, silent = door.state, door.silent
        rows = partial(node_rows, state, door.settings.node.node_id, silent, PRESENT, door.seen)
        return await made(lambda: NodesAnswer(nodes=tuple(rows())))

    async def models(request: web.Request) -> web.Response:
        wanted = game_of(request)
        found = await all_models()
        return await made(lambda: ModelsAnswer(models=tuple(row for row in found if wanted in {None, row.game})))

    async def model(request: web.Request) -> web.Response:
        found = one_model(await all_models(), request.match_info["sha256"].lower())
        return text_answer(found.model_dump_json())

    async def all_models() -> tuple[ModelRow, ...]:
        state = door.state
        games = tuple(dict.fromkeys((*door.settings.games, *state.learners)))
        return await kept.get("models", partial(model_rows, state, door.registry, games))

    async def elo(request: web.Request) -> web.Response:
        state, wanted = door.state, game_of(request)
        games = (wanted,) if wanted is not None else tuple(dict.fromkeys((*door.settings.games, *state.learners)))
        found = await kept.get(f"elo {wanted}", lambda: {game: elo_rows(state, game) for game in games})
        return await made(lambda: EloAnswer(games=found))

    async def config(_request: web.Request) -> web.Response:
        settings = door.settings.model_dump(mode="json")
        return await made(lambda: ConfigAnswer(settings=settings, provenance=dict(door.provenance)))

    return {
        **job_handlers(door),
        "GET /nodes": nodes,
        "GET /models": models,
        "GET /models/{sha256}": model,
        "GET /elo": elo,
        "GET /config": config,
    }


def job_handlers(door: ClusterDoor) -> Handlers:
    """Those of jobs."""

    async def jobs(request: web.Request) -> web.Response:
        state, work, limit = door.state, door.work, limit_of(request)
        status, kind = one_of(request, "status", STATUSES), one_of(request, "kind", KINDS)
        rows = partial(job_rows, state, work, status=status, game=game_of(request), kind=kind, limit=limit)

        def make() -> JobsAnswer:
            found, total = rows()
            return JobsAnswer(jobs=found, total=total)

        return await made(make)

    async def job(request: web.Request) -> web.Response:
        state, name = door.state, request.match_info["id"]
        found = state.jobs.get(name)
        if found is None:
            raise RequestError(f"there is no job {name}; the state remembers the last ones that ended", 404)
        around, entries = Surroundings(state, door.clock(), door.unfit), door.journal.latest(KEPT_MAX)
        work = door.work.get(name)
        return await made(lambda: JobAnswer(**dict(job_detail(found, work, around, entries))))

    return {"GET /jobs": jobs, "GET /jobs/{id}": job}


class Kept:
    """Answers that are given again for a moment; those who ask at once for the same one share its making."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._found: dict[str, tuple[float, object]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, name: str, make: Callable[[], T]) -> T:
        """What is kept under a name, or is made in a thread; names are few."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            at, found = self._found.get(name, (-FRESH_S, None))
            if self._monotonic() - at >= FRESH_S:
                found = await in_thread(make)
                self._found[name] = (self._monotonic(), found)
            return found  # type: ignore[return-value]


async def made(make: Callable[[], BaseModel]) -> web.Response:
    """A record, made and written in a thread."""
    return text_answer(await in_thread(lambda: make().model_dump_json()))


def in_thread(make: Callable[[], T]) -> Awaitable[T]:
    """TimeoutError when that takes too long."""
    return asyncio.wait_for(asyncio.to_thread(make), THREAD_S)


def one_model(rows: tuple[ModelRow, ...], prefix: str) -> ModelRow:
    """The net whose digest begins so; RequestError when there is none, or several."""
    if len(prefix) < DIGITS_MIN or not DIGITS.issuperset(prefix):
        raise RequestError(f"{prefix[:80]!r} is no digest; write {DIGITS_MIN} or more of its 64 hex digits")
    found = [row for row in rows if row.sha256.startswith(prefix)]
    if not found:
        raise RequestError(f"no net has a digest that begins with {prefix}", 404)
    if len({row.sha256 for row in found}) > 1:
        raise RequestError(f"several nets have a digest that begins with {prefix}; write more digits", 409)
    return found[0]


def game_of(request: web.Request) -> str | None:
    """The configuration that is asked for; RulesError when it is none."""
    text = request.query.get("game")
    return None if text is None else str(ConfigKey.parse(text))


def one_of(request: web.Request, name: str, words: tuple[str, ...]) -> str | None:
    """A word of a query; RequestError when it is none of these."""
    text = request.query.get(name)
    if text is not None and text not in words:
        raise RequestError(f"{name} is {text[:40]!r}; write one of {', '.join(words)}")
    return text
