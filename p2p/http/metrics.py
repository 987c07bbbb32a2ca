"""Metrics for Prometheus, made anew for every scrape from a status and the state (docs/reference/metrics.md).

Counters are made from the state, so they survive restarts, and all of a kind are there from the start with 0.
"""

from collections.abc import Iterable, Iterator
from itertools import product

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from config.schema import BOARD_TYPES
from managers.state.cluster_state import ClusterState
from managers.state.jobs import JobStatus
from managers.status_records import GameStatus, Status
from p2p.http.request_metrics import NOTHING, RequestCounts

GAMES = tuple(f"{board}_{players}p" for board in BOARD_TYPES for players in (2, 3, 4))
ENDS = ("succeeded", "failed", "cancelled", "lost")  # of trainings
TRIGGERS = ("manual", "auto_elo", "auto_error")
DIGEST_CHARS = 16  # of a net, in labels


class NodeCollector:
    """One scrape."""

    def __init__(self, status: Status, state: ClusterState, counts: RequestCounts) -> None:
        self._status = status
        self._state = state
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Every metric with its samples."""
        yield from self._counters()
        yield from self._of_games()
        yield from self._of_models()
        yield from self._of_the_node()
        yield from self._of_http()

    def _counters(self) -> Iterator[Metric]:
        synced = counter("games_synced", "Games of each node, counted over its whole life.", ("host",))
        hosts: dict[str, int] = {self._status.node_id: 0}
        for learner in self._state.learners.values():
            for node, count in learner.data.items():
                hosts[node] = hosts.get(node, 0) + count.games
        for host, games in hosts.items():
            synced.add_metric([host], games)
        yield synced
        runs = counter("training_runs", "Training runs that ended, by how.", ("config", "status"))
        for game, end in product(GAMES, ENDS):
            runs.add_metric([game, end], self._tally(game, f"training.{end}"))
        yield runs
        promotions = counter("promotion", "Promotions of nets to champion.", ("config",))
        for game in GAMES:
            promotions.add_metric([game], self._promotions(game))
        yield promotions
        rollbacks = counter("model_rollbacks", "Rollbacks of the production net.", ("model_id", "trigger"))
        for game, trigger in product(GAMES, TRIGGERS):
            rollbacks.add_metric([game, trigger], self._tally(game, f"rollback.{trigger}"))
        yield rollbacks
        decisions = counter("promotion_decisions", "Decisions about candidates.", ("outcome",))
        decisions.add_metric(["promoted"], sum(self._promotions(game) for game in GAMES))
        decisions.add_metric(["rejected"], sum(self._tally(game, "verdict.failed") for game in GAMES))
        decisions.add_metric(["undecided"], sum(self._tally(game, "verdict.undecided") for game in GAMES))
        yield decisions

    def _of_games(self) -> Iterator[Metric]:
        games = self._status.games
        yield gauge("data_freshness_hours", "Age of the newest games.", "config", of(games, "freshness_h"))
        yield gauge("selfplay_games_per_hour", "Games that came lately.", "config", of(games, "games_per_h"))
        losses = ((it.game, it.losses.get("total")) for it in games)
        yield gauge("training_loss", "Total loss of the latest candidate on games kept for that.", "config", losses)

    def _of_models(self) -> Iterator[Metric]:
        ratings = GaugeMetricFamily(
            "ringrift_elo_rating", "Latest Elo of nets and players.", labels=("model", "config")
        )
        best = []
        for game, learner in self._state.learners.items():
            known = {it.sha256: learner.rating(it.sha256) for it in learner.ratings}
            for sha256, rating in known.items():
                if rating is not None:
                    ratings.add_metric([sha256[:DIGEST_CHARS], game], rating.elo)
            best.append((game, max((it.elo for it in known.values() if it is not None), default=None)))
        yield ratings
        yield gauge("best_elo", "Highest of these ratings.", "config", best)
        champions = [(it.game, it.champion) for it in self._status.games if it.champion is not None]
        now = ((game, champion.elo) for game, champion in champions)
        yield gauge("production_model_elo", "Latest Elo of the champion.", "model_id", now)
        then = ((game, champion.elo_at_start) for game, champion in champions)
        yield gauge("production_model_baseline_elo", "Its Elo when its reign began.", "model_id", then)

    def _of_the_node(self) -> Iterator[Metric]:
        jobs = self._state.jobs.active.values()
        running = [job.kind for job in jobs if job.status is JobStatus.RUNNING]
        yield plain("selfplay_jobs_running", "Selfplay jobs that run.", running.count("selfplay"))
        yield plain("training_jobs_running", "Training jobs that run.", running.count("training"))
        waiting = sum(job.status is JobStatus.QUEUED for job in jobs)
        yield plain("work_queue_pending", "Jobs that wait for a node.", waiting)
        yield plain("uptime_seconds", "Since this life of the node began.", self._status.uptime_s)

    def _of_http(self) -> Iterator[Metric]:
        requests = counter("http_requests", "Requests that were answered.", ("route", "method", "status"))
        for labels, count in self._counts.requests.items():
            requests.add_metric(labels, count)
        yield requests
        refusals = counter("http_refusals", "Requests and connections that were not let through.", ("code",))
        for code, count in self._counts.refusals.items():
            refusals.add_metric([code], count)
        yield refusals
        yield plain("event_loop_lag_seconds", "Longest delay of the event loop in the last minute.", self._counts.lag_s)
        yield plain("tasks", "Tasks of the event loop.", self._counts.tasks)

    def _tally(self, game: str, name: str) -> int:
        learner = self._state.learners.get(game)
        return 0 if learner is None else learner.tally.get(name, 0)

    def _promotions(self, game: str) -> int:
        return self._tally(game, "promotion.gate") + self._tally(game, "promotion.manual")


def metrics_text(status: Status, state: ClusterState, counts: RequestCounts = NOTHING) -> bytes:
    """The answer to a scrape, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(status, state, counts))
    return generate_latest(registry)


def counter(name: str, meaning: str, labels: tuple[str, ...]) -> CounterMetricFamily:
    """A counter without samples; `_total` is added to its name."""
    return CounterMetricFamily(f"ringrift_{name}", meaning, labels=labels)


def gauge(name: str, meaning: str, label: str, values: Iterable[tuple[str, float | None]]) -> GaugeMetricFamily:
    """A gauge with the values that are known."""
    family = GaugeMetricFamily(f"ringrift_{name}", meaning, labels=(label,))
    for subject, value in values:
        if value is not None:
            family.add_metric([subject], value)
    return family


def plain(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    """A gauge with one value."""
    return GaugeMetricFamily(f"ringrift_{name}", meaning, value=value)


def of(games: Iterable[GameStatus], field: str) -> Iterator[tuple[str, float | None]]:
    """A number of every configuration."""
    for game in games:
        yield game.game, getattr(game, field)
