"""Nets and ratings as rows for people and scripts; pure but for `model_rows`, which asks the registry's index."""

from collections.abc import Iterator

from managers.state.cluster_state import ClusterState
from managers.state.learners import Learner
from managers.state.record import Record
from managers.state.tasks import CanaryOutcome, GauntletOutcome
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry
from ringrift_core.registry.model_version import ModelVersion

MODELS_MAX = 5000  # in an answer


class ModelRow(Record):
    """A net."""

    game: str
    version: int | None  # number in the registry of this node; None: it is not there
    sha256: str
    status: str  # where it stands as a candidate; registered: nobody has asked about it
    role: str | None  # champion, current, previous, candidate or blocked: the first that fits
    elo: float | None  # latest, with the gate's search
    elo_margin: float | None  # 95 %
    at: float  # when it came, unix seconds
    size_bytes: int
    arch: str | None
    parent: str | None
    path: str | None  # below models/
    reason: str  # why it stands there


class EloRow(Record):
    """A rated agent: a net, or a player by rule, with so many simulations."""

    sha256: str
    sims: int | None
    elo: float
    margin: float  # 95 %
    games: int  # in the gauntlets and shadow tournaments that are remembered
    version: int | None  # of a net
    role: str | None


def model_rows(state: ClusterState, registry: ModelRegistry, games: tuple[str, ...]) -> tuple[ModelRow, ...]:
    """All nets of these configurations, the latest first. Reads the disk; StorageError when that fails."""
    rows: list[ModelRow] = []
    for game in games:
        present = registry.files.root.exists()
        versions = {it.sha256: it for it in registry.versions(ConfigKey.parse(game))} if present else {}
        learner = state.learner(game)
        digests = dict.fromkeys((*versions, *learner.nets))
        rows += [_row(learner, sha256, versions.get(sha256)) for sha256 in digests]
    return tuple(sorted(rows, key=lambda row: -row.at)[:MODELS_MAX])


def elo_rows(state: ClusterState, game: str) -> tuple[EloRow, ...]:
    """The latest ratings of a configuration, best first."""
    learner, games = state.learner(game), dict(_games_of(state, game))
    rows = [
        EloRow(
            sha256=it.sha256,
            sims=it.sims,
            elo=it.elo,
            margin=it.margin,
            games=games.get(it.sha256, 0),
            version=None if (net := learner.nets.get(it.sha256)) is None else net.version,
            role=role_of(learner, it.sha256),
        )
        for it in learner.ratings
    ]
    return tuple(sorted(rows, key=lambda row: -row.elo))


def role_of(learner: Learner, sha256: str) -> str | None:
    """What a net is for its configuration."""
    if sha256 == learner.champion:
        return "champion"
    if sha256 in learner.blocked:
        return "blocked"
    if sha256 == learner.current:
        return "current"
    if sha256 == learner.previous:
        return "previous"
    net = learner.nets.get(sha256)
    return "candidate" if net is not None and net.status in {"candidate", "passed"} else None


def _row(learner: Learner, sha256: str, known: ModelVersion | None) -> ModelRow:
    net, rating = learner.nets.get(sha256), learner.rating(sha256)
    assert net is not None or known is not None, "it comes from one of the two"
    size = known.size_bytes if known is not None else net.size_bytes if net is not None else 0
    at = net.at if net is not None else known.registered_at.timestamp() if known is not None else 0.0
    return ModelRow(
        game=learner.game,
        version=None if known is None else known.version,
        sha256=sha256,
        status="registered" if net is None else net.status.value,
        role=role_of(learner, sha256),
        elo=None if rating is None else rating.elo,
        elo_margin=None if rating is None else rating.margin,
        at=at,
        size_bytes=size,
        arch=None if known is None else known.arch,
        parent=net.parent if net is not None else known.parent if known is not None else None,
        path=None if known is None else f"versions/{sha256}.pth",
        reason=learner.blocked.get(sha256, "" if net is None else net.reason),
    )


def _games_of(state: ClusterState, game: str) -> Iterator[tuple[str, int]]:
    """Games of agents in remembered gauntlets and shadow tournaments."""
    found: dict[str, int] = {}
    for job in state.jobs.finished.values():
        if job.game != game:
            continue
        match job.outcome:
            case GauntletOutcome() as outcome:
                met = [(row.sha256, row.games) for row in outcome.rows]
                candidate = getattr(job.task, "candidate", "")
                met.append((candidate, sum(row.games for row in outcome.rows)))
            case CanaryOutcome() as outcome:
                met = [(it.opponent, _games(game, len(it.wins))) for it in outcome.blocks]
                met.append((getattr(job.task, "model", ""), sum(games for _, games in met)))
            case _:
                continue
        for sha256, games in met:
            found[sha256] = found.get(sha256, 0) + games
    yield from found.items()


def _games(game: str, blocks: int) -> int:
    """A block has a game per seat rotation."""
    return blocks * ConfigKey.parse(game).players
