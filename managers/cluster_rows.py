"""Parts of a status that tell of the cluster: nodes, champions, ratings, where nets are, what is asked for; pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from config.schema import Settings
from managers.node_selector import NodeSelector
from managers.promotion_desk import Ticket
from managers.promotion_result import last_evaluation
from managers.sightings import NOTHING, Seen
from managers.state.cluster_state import ClusterState
from managers.state.learners import Learner, NetStatus
from managers.status_records import (
    ChampionRow,
    Distribution,
    EloStatus,
    GameStatus,
    NodeRow,
    PromotionGame,
    PromotionStatus,
    Versions,
)
from managers.training_coordinator import gate_form
from ringrift_core.evaluation.odds import share_at
from ringrift_core.game.config_key import ConfigKey

WAITING = (NetStatus.PASSED, NetStatus.CANDIDATE)  # which of two is nearer to becoming champion


def node_rows(
    state: ClusterState, own: str, silent: Mapping[str, str], versions: Versions, seen: Seen = NOTHING
) -> Iterator[NodeRow]:
    """The members, in the order of joining; what others run and have only the leader hears."""
    selector = NodeSelector(state)
    for member in state.members.values():
        mine, sighting = member.node == own, seen.sightings.get(member.node)
        report = None if sighting is None or mine else sighting.report
        yield NodeRow(
            node_id=member.node,
            self=mine,
            session=member.session,
            cores=member.cores,
            gpus=member.gpus,
            memory_bytes=member.memory_bytes,
            alive=member.node not in silent,
            draining=member.draining,
            joined_at=member.joined_at,
            public_key=member.public_key,
            versions=versions if mine else None if report is None else report.versions,
            voter=member.node in state.voters,
            spot=member.spot,
            addresses=member.addresses,
            unfit=seen.unfit.get(member.node) or silent.get(member.node, ""),
            resources=None if report is None else report.resources,
            heard_ago_s=seen.heard_ago_s(member.node),
            round_trip_s=None if report is None else report.round_trip_s,
            clock_ahead_s=None if report is None else report.clock_ahead_s,
            games_per_h=seen.games_per_h.get(member.node),
            speed=selector.speed_of(member.node),
        )


def champion_rows(games: Iterable[GameStatus]) -> dict[str, ChampionRow]:
    """The champions, by configuration."""
    return {
        game.game: ChampionRow(sha256=it.sha256, version=it.version, elo=it.elo, since=it.since)
        for game in games
        if (it := game.champion) is not None
    }


def elo_of(learner: Learner) -> EloStatus:
    """The champion's Elo, and the best of all nets, each as it is judged."""
    rating = learner.rating(learner.champion) if learner.champion is not None else None
    found = (learner.rating(sha256) for sha256 in {it.sha256 for it in learner.ratings} & learner.nets.keys())
    return EloStatus(
        champion=None if rating is None else rating.elo, best=max((it.elo for it in found if it), default=None)
    )


def distributions(state: ClusterState, installed: Mapping[str, Mapping[str, str]]) -> dict[str, Distribution]:
    """Which nodes have the champions; `installed` is what each has verified, by configuration, this node included."""
    return {
        learner.champion: distribution(state, learner, learner.champion, installed)
        for learner in state.learners.values()
        if learner.champion is not None
    }


def distribution(
    state: ClusterState, learner: Learner, champion: str, installed: Mapping[str, Mapping[str, str]]
) -> Distribution:
    """Where one net is; missing on every member that can be called, or has told, and does not say that it has it."""
    members = {it.node for it in state.members.values() if it.addresses} | installed.keys()
    has = {node for node in members if installed.get(node, {}).get(learner.game) == champion}
    return Distribution(nodes=tuple(sorted(has)), missing=tuple(sorted(members - has)))


def promotion_status(
    state: ClusterState, settings: Settings, games: Iterable[str], requests: Sequence[Ticket]
) -> PromotionStatus:
    """Verdicts, wishes, and what each configuration waits for."""
    return PromotionStatus(
        last_evaluation=last_evaluation(state),
        requests=tuple(reversed(requests)),
        games={
            game: PromotionGame(waiting=waiting_net(state.learner(game)), thresholds=thresholds(settings, game))
            for game in games
        },
    )


def waiting_net(learner: Learner) -> str | None:
    """The net that may become champion next."""
    for status in WAITING:
        for net in reversed(learner.nets.values()):
            fits = status is NetStatus.CANDIDATE or net.against == learner.champion
            if net.status is status and fits and net.sha256 not in learner.blocked:
                return net.sha256
    return None


def thresholds(settings: Settings, game: str) -> dict[str, float]:
    """Shares of first places that a candidate must exceed, at the players of this game."""
    form, players = gate_form(settings), ConfigKey.parse(game).players
    shares = {"random": form.random, "heuristic": form.heuristic, "previous": form.champion}
    return {name: share_at(share, players) if 0 < share < 1 else share for name, share in shares.items()}
