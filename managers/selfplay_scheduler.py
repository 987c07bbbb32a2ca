"""SelfplayScheduler: who plays what next, and with which net.

A configuration's score is a weighted sum of five parts in [0, 1]: how stale its games are, how fast its Elo grows, its
curriculum weight, how little of its data was doubtful, and how many games the next training lacks. Scores become
shares with a floor each, and the next job goes to the configuration that is furthest behind its share. Nothing is
drawn, so the same state gives the same choice and no configuration starves.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from math import ceil

from config.schema import Settings
from managers.curriculum import curriculum_weight
from managers.signal_computer import elo_velocity
from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job
from managers.state.learners import Learner
from managers.state.members import Member
from managers.state.tasks import Opponent, SelfplayTask
from managers.training_coordinator import TrainingCoordinator

STALE_H = 6.0  # games as old as this are as stale as can be
VELOCITY_ELO_PER_H = 100.0  # a gain as fast as this counts fully
MEMORY_S = 3600.0  # over which received shares are counted, at least
MEMORY_ROUNDS = 2.0  # in which a single core reaches every floor, that are remembered


@dataclass(frozen=True, slots=True)
class JobTargets:
    """How many selfplay jobs a node should run."""

    gpu: int
    cpu: int


@dataclass(frozen=True, slots=True)
class Turns:
    """The share that each configuration should have, and the core-seconds that it has had lately."""

    shares: Mapping[str, float]
    received: Mapping[str, float]

    def next(self, resting: Collection[str] = ()) -> str | None:
        """Who is furthest behind its share; None when all of them rest."""
        whole = sum(self.received.values()) + 1.0
        awake = [game for game in self.shares if game not in resting]
        return max(awake, key=lambda game: (self.shares[game] - self.received[game] / whole, game), default=None)

    def with_more(self, game: str, core_seconds: float) -> "Turns":
        """The same when a configuration has had so much more, or less."""
        return replace(self, received={**self.received, game: self.received[game] + core_seconds})


class SelfplayScheduler:
    """Chooses configurations and writes selfplay tasks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._training = TrainingCoordinator(settings)

    def get_hybrid_job_targets(self, member: Member) -> JobTargets:
        """Jobs per GPU slot, and one per core that no GPU job needs; every GPU job keeps a core busy."""
        gpu = member.gpus * self._settings.jobs.gpu_slots_per_device
        return JobTargets(gpu=gpu, cpu=max(0, member.cores - gpu))

    def cores_of_selfplay(self, member: Member) -> int:
        """Cores that selfplay keeps on a node while other jobs wait; with a single core there is nothing to keep."""
        if member.cores < 2:
            return 0
        return min(member.cores - 1, ceil(self._settings.selfplay.minimum_share_of_cores * member.cores))

    def pick_weighted_config(self, state: ClusterState, now: float, resting: Collection[str] = ()) -> str | None:
        """The configuration that the next selfplay job plays; None when all of them rest."""
        return self.turns(state, now).next(resting)

    def turns(self, state: ClusterState, now: float) -> Turns:
        """Whose turn it is; looks at every net and at thousands of jobs, so ask once and count on from there."""
        return Turns(self.shares(state, now), self.received(state, now))

    def shares(self, state: ClusterState, now: float) -> Mapping[str, float]:
        """The share of selfplay that each configuration should have; they sum to 1."""
        games = self._settings.games
        scores = {game: sum(self.parts(state, game, now).values()) for game in games}
        floor = self._settings.scheduler.floor(len(games))
        total = sum(scores.values())
        free = 1.0 - floor * len(games)
        return {game: floor + free * (scores[game] / total if total else 1 / len(games)) for game in games}

    def parts(self, state: ClusterState, game: str, now: float) -> Mapping[str, float]:
        """The weighted parts of a configuration's score: why it is played as much as it is."""
        weights, learner = self._settings.scheduler.weights.normalised, state.learner(game)
        newest = learner.total.newest_at
        least, since = self._training.games_wanted(learner)
        curriculum = self._settings.curriculum
        weight = curriculum_weight(learner, self._settings, now)
        spread = curriculum.weight_max - curriculum.weight_min
        return {
            "staleness": weights.staleness * (min(1.0, max(0.0, now - newest) / 3600 / STALE_H) if newest else 1.0),
            "elo_velocity": weights.elo_velocity * min(1.0, max(0.0, elo_velocity(learner)) / VELOCITY_ELO_PER_H),
            "curriculum": weights.curriculum * ((weight - curriculum.weight_min) / spread if spread else 0.5),
            "quality": weights.quality * _quality(learner),
            "data_deficit": weights.data_deficit * max(0.0, 1 - since / least),
        }

    @property
    def memory_s(self) -> float:
        """How long received games count: whoever is forgotten before the last one has played would play twice."""
        floor = self._settings.scheduler.floor(len(self._settings.games))
        job_s = 60 * self._settings.selfplay.minutes_per_job
        return max(MEMORY_S, MEMORY_ROUNDS * job_s / floor) if floor else MEMORY_S

    def received(self, state: ClusterState, now: float) -> Mapping[str, float]:
        """Core-seconds of selfplay that each configuration had lately, those of waiting jobs ahead of time."""
        found = dict.fromkeys(self._settings.games, 0.0)
        lately = takewhile(
            lambda job: now - (job.ended_at or 0.0) <= self.memory_s, reversed(state.jobs.finished.values())
        )
        for job in (*state.jobs.active.values(), *lately):
            if job.kind == "selfplay" and job.game in found:
                found[job.game] += self.core_seconds(job, now)
        return found

    def core_seconds(self, job: Job, now: float) -> float:
        """What a job has received, or is about to receive where it has not ended."""
        if job.ended_at is None:
            started = now if job.started_at is None else job.started_at
            return job.cores * max(60 * self._settings.selfplay.minutes_per_job, now - started)
        return 0.0 if job.started_at is None else job.cores * (job.ended_at - job.started_at)

    def bootstrapped(self, state: ClusterState, game: str, now: float) -> bool:
        """Whether the heuristic has played what the first net needs: more would crowd out the games of that net."""
        selfplay, learner = self._settings.selfplay, state.learner(game)
        return (
            selfplay.bootstrap == "heuristic"
            and learner.current is None
            and learner.total.games >= max(1, selfplay.bootstrap_games)
            and self._training.lack_of_rows(state, game, now) is None
        )

    def model_of(self, state: ClusterState, game: str) -> str:
        """Who judges in a configuration's selfplay now: its current net, before there is one what `bootstrap` says."""
        learner = state.learner(game)
        if learner.current is not None:
            return learner.current
        return "heuristic" if self._settings.selfplay.bootstrap == "heuristic" else "random"

    def selfplay_task(self, state: ClusterState, game: str) -> SelfplayTask:
        """What a selfplay job of a configuration does now."""
        selfplay, learner, model = self._settings.selfplay, state.learner(game), self.model_of(state, game)
        first = learner.current is None
        opponents = [] if first or not selfplay.heuristic_share else [("heuristic", selfplay.heuristic_share)]
        if not first and selfplay.previous_share and learner.previous:
            opponents.append((learner.previous, selfplay.previous_share))
        return SelfplayTask(
            game=game,
            model=model,
            sims=selfplay.bootstrap_sims if first else selfplay.sims,
            cheap_sims=None if first else selfplay.cheap_sims,
            full_share=None if first else selfplay.full_share,
            opening_max=selfplay.opening_max,
            drawn_decisions=selfplay.drawn_decisions,
            opponents=tuple(Opponent(model=name, share=share) for name, share in opponents),
        )


def _quality(learner: Learner) -> float:
    """Share of a configuration's jobs with the champion whose games did not fail; 1 where nothing is known."""
    games = sum(job.games for job in learner.job_games)
    return 1.0 - sum(job.failed for job in learner.job_games) / games if games else 1.0
