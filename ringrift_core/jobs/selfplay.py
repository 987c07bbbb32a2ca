"""The selfplay job: play, and put finished games into shards every 30 seconds or 256 games.

A killed job loses the games in flight and those of the last 30 seconds, never part of a shard. With `deterministic`
shards are cut by number of games only, so that the same spec gives the same shards on the same kind of CPU.
"""

import itertools
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from time import monotonic

from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.spec import SelfplaySpec
from ringrift_core.jobs.stop import Emit
from ringrift_core.players.roster import Judge, judge_of
from ringrift_core.selfplay.manifest import ShardHead, ShardPlayer
from ringrift_core.selfplay.played_game import PlayedGame
from ringrift_core.selfplay.selfplay import Selfplay, SelfplaySettings
from ringrift_core.selfplay.shard import read_manifest, write_shard

GAMES_PER_SHARD = 256
SHARD_AGE_S = 30.0
REPORT_EVERY_S = 1.0


def run_selfplay(spec: SelfplaySpec, emit: Emit, stopped: Callable[[], bool]) -> None:
    """Run the job until its games are played or `stopped()`; `emit` gets progress, shard and done reports."""
    key = ConfigKey.parse(spec.game)
    names = [spec.model, *(opponent.model for opponent in spec.opponents)]
    judges = [judge_of(name, key, device=spec.device, deterministic=spec.deterministic) for name in names]
    settings = settings_of(spec)
    slots = spec.slots or judges[0].batch
    if spec.games:
        slots = min(slots, spec.games)
    selfplay = Selfplay(key, [judge.evaluator for judge in judges], settings, slots=slots, seed=spec.seed)
    writer = Writer(spec, key, judges, selfplay, emit)
    reported = monotonic()
    for games in selfplay.play(numbers_of(spec)):
        writer.add(games)
        if monotonic() - reported >= REPORT_EVERY_S:
            reported = monotonic()
            emit(report("progress", selfplay, writer))
        if stopped():
            break
    writer.flush()
    emit(report("done", selfplay, writer))


def settings_of(spec: SelfplaySpec) -> SelfplaySettings:
    """The settings that a spec stands for."""
    cheap, share = spec.searches
    return SelfplaySettings(
        sims=spec.sims,
        cheap_sims=cheap,
        full_share=share,
        opening_max=spec.opening_max,
        drawn_decisions=spec.drawn_decisions,
        opponent_shares=tuple(opponent.share for opponent in spec.opponents),
    )


def numbers_of(spec: SelfplaySpec) -> Iterator[int]:
    """The numbers of the job's games."""
    numbers = itertools.count(spec.first, spec.stride)
    return itertools.islice(numbers, spec.games) if spec.games else numbers


def report(event: str, selfplay: Selfplay, writer: "Writer") -> dict[str, object]:
    """What has been done so far; counts, no rates."""
    tally = {name: value for name, value in asdict(selfplay.tally).items() if not name.startswith("batch")}
    return {
        "event": event,
        **tally,
        "judged": selfplay.search.counters.judged,
        "cached": selfplay.search.counters.cached,
        "forced": selfplay.search.counters.forced,
        "batch_fill": round(selfplay.tally.fill, 4),
        "shards": writer.shards,
        "written_games": writer.games,
        "written_samples": writer.samples,
        "written_bytes": writer.size_bytes,
    }


class Writer:
    """Collects finished games and writes them out."""

    def __init__(self, spec: SelfplaySpec, key: ConfigKey, judges: list[Judge], selfplay: Selfplay, emit: Emit) -> None:
        self._spec = spec
        self._key = key
        self._players = tuple(ShardPlayer(judge.name, judge.sha256) for judge in judges)
        self._search = asdict(settings_of(spec))
        self._selfplay = selfplay
        self._evaluations = 0  # that stand in the shards so far
        self._emit = emit
        self._pending: list[PlayedGame] = []
        self._since = monotonic()  # when the first of them was added
        self.shards = self.games = self.samples = self.size_bytes = 0

    def add(self, games: list[PlayedGame]) -> None:
        """Take finished games; writes a shard when it is due."""
        if games and not self._pending:
            self._since = monotonic()
        self._pending += games
        while len(self._pending) >= GAMES_PER_SHARD:
            self._write(self._pending[:GAMES_PER_SHARD])
            self._pending = self._pending[GAMES_PER_SHARD:]
        if self._pending and not self._spec.deterministic and monotonic() - self._since >= SHARD_AGE_S:
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        if self._pending:
            self._write(self._pending)
            self._pending = []

    def _write(self, games: list[PlayedGame]) -> None:
        head = ShardHead(
            config_key=self._key,
            swap=self._key.players == 2,
            players=self._players,
            search=self._search,
            seed=self._spec.seed,
            host=platform.node(),
            created_at=datetime.now(UTC),
            evaluations=self._selfplay.search.counters.judged - self._evaluations,
        )
        path = write_shard(self._spec.out, games, head)
        self._evaluations += head.evaluations
        manifest = read_manifest(path)
        self.shards += 1
        self.games += manifest.counts.games
        self.samples += manifest.counts.samples
        self.size_bytes += manifest.blob.size_bytes
        self._since = monotonic()
        self._emit({"event": "shard", "name": path.name, **asdict(manifest.counts)})
