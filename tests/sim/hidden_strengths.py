"""Nets with strengths that nobody sees, and the games that show them: gauntlets and canaries as real ones leave them.

Every outcome depends on the seed of the world and that of the task alone, so a job that is done again finds the same.
"""

import hashlib
from datetime import UTC, datetime

import numpy as np

from managers.state.tasks import (
    CanaryBlocks,
    CanaryOutcome,
    CanaryTask,
    GauntletOutcome,
    GauntletRow,
    GauntletTask,
    Rating,
    TrainingTask,
)
from ringrift_core.evaluation.gauntlet import CHUNK_GAMES, GauntletSettings, reason_of, row_of
from ringrift_core.evaluation.gauntlet_result import GauntletResult, SearchForm, verdict_of
from ringrift_core.evaluation.gauntlet_result import GauntletRow as StoredRow
from ringrift_core.evaluation.odds import share_of_elo
from ringrift_core.evaluation.sprt import Outcome, Sprt
from ringrift_core.evaluation.stored_match import Book, MatchAgent
from ringrift_core.evaluation.thresholds import BETA, Role, Thresholds, alpha_of, gate_rows
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.names import NET_SIMS, SIMPLE

RANDOM, HEURISTIC = SIMPLE["random"].sha256, SIMPLE["heuristic"].sha256
FIRST_ELO, FIRST_SPREAD = 1400.0, 60.0  # of a first net; the heuristic has 1200
GAIN_ELO, GAIN_SPREAD = 60.0, 60.0  # of a net over its parent
MATCH = "0123456789abcdef"


class Strengths:
    """All nets of a world by digest, and the gauntlets that are stored in it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.elo: dict[str, float] = {RANDOM: 500.0, HEURISTIC: 1200.0}
        self.results: dict[str, GauntletResult] = {}  # by stem

    def _rng(self, *keys: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *keys])

    def trained(self, task: TrainingTask) -> str:
        """The net that a training makes."""
        name = hashlib.sha256(f"{self._seed}/{task.game}/{task.parent}/{task.seed}".encode()).hexdigest()
        rng = self._rng(task.seed)
        if task.parent is None:
            self.elo.setdefault(name, float(rng.normal(FIRST_ELO, FIRST_SPREAD)))
        else:
            self.elo.setdefault(name, self.elo[task.parent] + float(rng.normal(GAIN_ELO, GAIN_SPREAD)))
        return name

    def brought(self, label: str, elo: float) -> str:
        """A net that a person brings."""
        name = hashlib.sha256(f"{self._seed}/{label}".encode()).hexdigest()
        self.elo[name] = elo
        return name

    def wins(self, one: str, other: str, players: int, blocks: int, rng: np.random.Generator) -> list[int]:
        """Games won in each block by a net against copies of another one."""
        share = share_of_elo(self.elo[one] - self.elo[other], players)
        return [int(won) for won in rng.binomial(players, share, size=blocks)]

    def qualifying(self, task: GauntletTask) -> tuple[int, int]:
        """Games and wins of the first look at a candidate."""
        assert task.champion is not None
        players = ConfigKey.parse(task.game).players
        blocks = -(-task.form.qualify_games // players)
        return blocks * players, sum(self.wins(task.candidate, task.champion, players, blocks, self._rng(task.seed, 1)))

    def gauntlet(self, task: GauntletTask) -> GauntletOutcome:
        """A whole gauntlet, stored."""
        rows = self._rows(task)
        result = GauntletResult(
            config_key=task.game,
            candidate=net_agent(task.candidate),
            candidate_number=task.candidate_number,
            search=SearchForm(considered=16, visit_weight=50.0, value_weight=0.1),
            book=Book(name="book", sha256="0" * 64),
            seed=task.seed,
            games_min=task.form.games or 50,
            rows=rows,
            verdict=verdict_of(rows),
            reason=reason_of(rows),
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        stem = hashlib.sha256(result.model_dump_json().encode()).hexdigest()[:16]
        self.results[stem] = result
        return GauntletOutcome(
            result=stem,
            verdict=result.verdict.value,
            reason=result.reason,
            rows=tuple(told_row(row) for row in rows),
            ratings=self._ratings(task.candidate, *([task.champion] if task.champion else [])),
        )

    def canary(self, task: CanaryTask) -> CanaryOutcome:
        """A whole shadow tournament."""
        players = ConfigKey.parse(task.game).players
        rng = self._rng(task.seed, task.number, 2)
        names = [SIMPLE[it].sha256 if it in SIMPLE else it for it in task.opponents]
        return CanaryOutcome(
            blocks=tuple(
                CanaryBlocks(
                    opponent=name,
                    wins=tuple(self.wins(task.model, name, players, task.games // players, rng)),
                    match=MATCH,
                )
                for name in names
            ),
            ratings=self._ratings(task.model, *(name for name in names if name != HEURISTIC)),
        )

    def _rows(self, task: GauntletTask) -> tuple[StoredRow, ...]:
        opponents = [(Role.RANDOM, RANDOM), (Role.HEURISTIC, HEURISTIC)]
        opponents += [(Role.CHAMPION, task.champion)] if task.champion else []
        opponents += [(Role.ANCHOR, anchor) for anchor in task.anchors]
        rows: list[StoredRow] = []
        for number, (role, opponent) in enumerate(opponents):
            rows.append(self._row(task, role, opponent, number))
            if not rows[-1].passes:
                break
        return tuple(rows)

    def _row(self, task: GauntletTask, role: Role, opponent: str, number: int) -> StoredRow:
        form, players = task.form, ConfigKey.parse(task.game).players
        rule = gate_rows(players, Thresholds(form.random, form.heuristic, form.champion))[role]
        test = Sprt(rule.h0, rule.h1, alpha_of(task.candidate_number), BETA)
        settings = GauntletSettings(games=form.games, games_max=form.games_max)
        least, most = settings.blocks(rule, players)
        wins = self.wins(task.candidate, opponent, players, most, self._rng(task.seed, 10 + number))
        played = least
        while played < most and test.outcome(_counts(wins[:played], players)) is Outcome.UNDECIDED:
            played = min(played + CHUNK_GAMES // players, most)
        agent = net_agent(opponent) if role in {Role.CHAMPION, Role.ANCHOR} else _simple(role)
        return row_of(rule, agent, test, _counts(wins[:played], players), f"{number:016x}")

    def _ratings(self, *names: str) -> tuple[Rating, ...]:
        return tuple(Rating(sha256=name, sims=NET_SIMS, elo=self.elo[name], margin=30.0) for name in names)


def _counts(wins: list[int], players: int) -> tuple[int, ...]:
    return tuple(int(count) for count in np.bincount(wins, minlength=players + 1))


def net_agent(sha256: str) -> MatchAgent:
    return MatchAgent(name="net", sha256=sha256, sims=NET_SIMS, version=1)


def _simple(role: Role) -> MatchAgent:
    known = SIMPLE[role.value]
    return MatchAgent(name=known.label, sha256=known.sha256, sims=None)


def told_row(row: StoredRow) -> GauntletRow:
    """A row as a job reports it."""
    return GauntletRow(
        opponent=row.opponent.value,
        sha256=row.agent.sha256,
        games=row.games,
        wins=row.wins,
        share=row.share,
        low=row.low,
        high=row.high,
        outcome=row.outcome.value,
        blocks=row.blocks,
    )
