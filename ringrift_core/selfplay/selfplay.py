"""Selfplay: many games in lockstep, each decision found by a search, finished games handed out.

Every tick gives each game's search the judgement that it waits for, so a batch holds one position of every game. A game
has its own generator, made of the run's seed and its number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.game import GameBatch
from ringrift_core.game.batch import IntArray
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules.playout import LEHMER_MODULUS
from ringrift_core.search.evaluator import Evaluator, Float32Array
from ringrift_core.search.gumbel import GumbelSearch, Roots, SearchSettings
from ringrift_core.selfplay.played_game import EXPLORED, FULL, OPENING, Ending, PlayedGame

LEARNER = 0  # number of the player whose games these are, in the table of players


@dataclass(frozen=True, slots=True)
class SelfplaySettings:
    """How the games are played."""

    sims: int = 16  # simulations of a full search
    cheap_sims: int = 4  # of the others, which leave no policy target
    full_share: float = 1.0  # share of decisions with a full search (playout-cap randomisation)
    opening_max: int = 6  # a game begins with 0 .. so many random decisions
    drawn_decisions: int = 20  # so many decisions after the opening are drawn by the policy target
    opponent_shares: tuple[float, ...] = ()  # share of games against players 1, 2, ... of the table
    search: SearchSettings = field(default_factory=SearchSettings)

    def __post_init__(self) -> None:
        """RulesError when a number makes no sense."""
        if self.sims < 0 or self.cheap_sims < 0 or self.opening_max < 0 or self.drawn_decisions < 0:
            raise RulesError("simulations and decisions are counted from 0")
        if not 0 < self.full_share <= 1:
            raise RulesError(f"the share of full searches lies above 0 and up to 1, not at {self.full_share}")
        if min(self.opponent_shares, default=0) < 0 or sum(self.opponent_shares) > 1:
            raise RulesError("the shares of opponents are not negative and sum to 1 at most")


@dataclass(slots=True)
class GameInHand:
    """A game that is being played."""

    number: int
    seed: int
    rng: np.random.Generator
    players: tuple[int, ...]  # by agent
    opening: int  # random decisions still to come
    decisions: int = 0  # since the opening
    full: bool = False  # the search under way is a full one
    choices: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    targets: list[Float32Array] = field(default_factory=list)
    values: list[Float32Array] = field(default_factory=list)
    surprise: list[float] = field(default_factory=list)

    def note(self, choice: int, flags: int) -> None:
        """Record a decision."""
        self.choices.append(choice)
        self.flags.append(flags)

    def finished(self, ending: Ending) -> PlayedGame:
        """The record of the game."""
        return PlayedGame(
            choices=np.array(self.choices, np.uint16),
            flags=np.array(self.flags, np.uint8),
            targets=self.targets,
            root_values=np.array(self.values, np.float32).reshape(-1, len(self.players)),
            surprise=np.array(self.surprise, np.float32),
            players=self.players,
            seed=self.seed,
            number=self.number,
            ending=ending,
        )


@dataclass(slots=True)
class Tally:
    """What has been done, and how full the batches were while there were games for every slot."""

    games: int = 0
    decisions: int = 0  # searched
    samples: int = 0  # full searches by the learner
    simulations: int = 0
    distinct: int = 0  # distinct positions in the trees, summed over decisions
    batch_positions: int = 0
    batch_room: int = 0  # games in play when the batches were judged

    @property
    def fill(self) -> float:
        """Mean share of the games in play that a batch had a position of; each judge has its own batches."""
        return self.batch_positions / self.batch_room if self.batch_room else 0.0


class Selfplay:
    """Plays games of one configuration side by side in `slots` slots; `play` hands out the finished ones."""

    def __init__(
        self, key: ConfigKey, judges: Sequence[Evaluator], settings: SelfplaySettings, *, slots: int, seed: int
    ) -> None:
        """`judges` are the table of players: the learner, then the opponents that `opponent_shares` speaks of."""
        if len(judges) != 1 + len(settings.opponent_shares):
            raise RulesError(f"{len(settings.opponent_shares)} shares need as many opponents, not {len(judges) - 1}")
        self.tally = Tally()
        self._key = key
        self._judges = judges
        self._settings = settings
        self._seed = seed
        self._batch = GameBatch.start(key, slots)
        self._fresh = self._batch.copy([0])
        self._games: list[GameInHand | None] = [None] * slots
        self._searching = np.full(slots, -1)  # number of the player who thinks, -1 nobody
        self.search = GumbelSearch(self._batch.board, key.players, slots, settings.search)

    def play(self, numbers: Iterator[int]) -> Iterator[list[PlayedGame]]:
        """Play the games of these numbers; yields after every tick the games that it finished, often none."""
        idle = list(range(len(self._games)))[::-1]
        supply = True
        while supply or len(idle) < len(self._games):
            while idle and supply:
                number = next(numbers, None)
                if number is None:
                    supply = False
                else:
                    self._start(idle.pop(), number)
            over = self._move_on(
                np.array([slot for slot, game in enumerate(self._games) if game is not None], np.int64)
            )
            done = self._finish(over)
            idle += over
            self._tick(count=supply)
            yield done

    # ---- one tick ----

    def _move_on(self, slots: IntArray) -> list[int]:
        """Bring every game without a search to its next one; return the slots of finished games."""
        ready = slots[self._searching[slots] < 0]
        over: list[int] = []
        while len(ready):
            self._batch.advance(ready)
            ended = self._batch.over[ready]
            over += ready[ended].tolist()
            ready = ready[~ended]
            opening = np.array([self._game(slot).opening > 0 for slot in ready], bool)
            self._begin(ready[~opening])
            ready = ready[opening]
            self._play_openings(ready)
        return over

    def _play_openings(self, slots: IntArray) -> None:
        if not len(slots):
            return
        legal = self._batch.legal(slots)
        chosen = np.zeros(len(slots), np.int64)
        for i, slot in enumerate(slots):
            game = self._game(slot)
            chosen[i] = legal[i][game.rng.integers(len(legal[i]))]
            game.opening -= 1
            game.note(int(chosen[i]), OPENING)
        self._batch.apply(chosen, slots)

    def _begin(self, slots: IntArray) -> None:
        """Begin a search in each slot."""
        if not len(slots):
            return
        movers = self._batch.agent_of_seat[slots, self._batch.mover[slots] - 1]
        budgets, seeds = np.zeros(len(slots), np.int64), np.zeros(len(slots), np.int64)
        for i, slot in enumerate(slots):
            game = self._game(slot)
            player = game.players[movers[i] - 1]
            game.full = bool(game.rng.random() < self._settings.full_share) or player != LEARNER
            budgets[i] = self._settings.sims if game.full else self._settings.cheap_sims
            seeds[i] = game.rng.integers(1, LEHMER_MODULUS)
            self._searching[slot] = player
        self.search.begin(slots, self._batch.states[slots], budgets, seeds, judges=self._searching[slots])

    def _tick(self, *, count: bool) -> None:
        """Run all searches to their next judgement and get it; play the decisions that are found."""
        for player, judge in enumerate(self._judges):
            slots = np.flatnonzero(self._searching == player)
            if not len(slots):
                continue
            positions = self.search.collect(slots)
            if len(positions):
                self.search.feed(judge.evaluate(positions))
            if count:
                self.tally.batch_positions += len(positions)
                self.tally.batch_room += len(self._games)
            self._decide(self.search.finished(slots), learner=player == LEARNER)

    def _decide(self, slots: IntArray, *, learner: bool) -> None:
        """Play what the finished searches found."""
        if not len(slots):
            return
        roots = self.search.roots(slots)
        chosen = np.array(
            [self._choose(self._game(slot), roots, i, learner=learner) for i, slot in enumerate(slots)], np.int64
        )
        self._batch.apply(chosen, slots)
        self._searching[slots] = -1
        self.tally.decisions += len(slots)
        self.tally.simulations += int(roots.visits.sum())
        self.tally.distinct += int(roots.distinct.sum())

    def _choose(self, game: GameInHand, roots: Roots, i: int, *, learner: bool) -> int:
        drawn = game.decisions < self._settings.drawn_decisions
        choice = int(roots.drawn[i] if drawn else roots.best[i])
        flags = EXPLORED if choice != roots.best[i] else 0
        if game.full and learner:
            flags |= FULL
            first, last = roots.legal.offsets[i : i + 2]
            game.targets.append(roots.target[first:last])
            game.values.append(roots.values[i])
            game.surprise.append(max(0.0, float(roots.surprise[i])))
            self.tally.samples += 1
        game.decisions += 1
        game.note(choice, flags)
        return choice

    # ---- games ----

    def _start(self, slot: int, number: int) -> None:
        # the generator of a game depends on nothing but the run's seed and the game's number
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1, np.uint64)[0])
        rng = np.random.default_rng(seed)
        players = [LEARNER] * self._key.players
        lot = rng.random()
        for opponent, share in enumerate(self._settings.opponent_shares, 1):
            if lot < share:
                players = [opponent] * self._key.players
                players[int(rng.integers(self._key.players))] = LEARNER
                break
            lot -= share
        opening = int(rng.integers(self._settings.opening_max + 1))
        self._games[slot] = GameInHand(number, seed, rng, tuple(players), opening)
        self._batch.assign([slot], self._fresh)

    def _finish(self, slots: list[int]) -> list[PlayedGame]:
        endings = Ending.of(self._batch, slots) if slots else []
        games = [self._game(slot).finished(ending) for slot, ending in zip(slots, endings, strict=True)]
        for slot in slots:
            self._games[slot] = None
        self.tally.games += len(games)
        return games

    def _game(self, slot: int) -> GameInHand:
        game = self._games[slot]
        assert game is not None
        return game
