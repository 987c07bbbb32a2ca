"""SearchPlayer: an evaluator with a search of n simulations per decision."""

import numpy as np

from ringrift_core.game import GameBatch
from ringrift_core.game.batch import IntArray
from ringrift_core.game.rules.playout import LEHMER_MODULUS
from ringrift_core.players.player import in_first_turns
from ringrift_core.search.evaluator import Evaluator
from ringrift_core.search.gumbel import GumbelSearch, SearchSettings

SLOTS_MAX = 256  # games searched side by side


class SearchPlayer:
    """The decision that a search without noise finds best."""

    def __init__(
        self,
        name: str,
        evaluator: Evaluator,
        sims: int,
        rng: np.random.Generator,
        settings: SearchSettings | None = None,
        drawn_turns: int = 0,
    ) -> None:
        """In the first `drawn_turns` turns of a game the decision is drawn by the search's policy instead."""
        self.name = name
        self._evaluator = evaluator
        self._sims = sims
        self._rng = rng
        self._settings = settings or SearchSettings()
        self._drawn_turns = drawn_turns
        self._search: GumbelSearch | None = None

    def choose(self, batch: GameBatch, rows: IntArray) -> IntArray:
        """The best decision of each game, [k]."""
        chosen = np.zeros(len(rows), np.int64)
        for first in range(0, len(rows), SLOTS_MAX):
            part = rows[first : first + SLOTS_MAX]
            search = self._search_for(batch, len(part))
            slots = np.arange(len(part))
            seeds = self._rng.integers(1, LEHMER_MODULUS, len(part))
            search.begin(slots, batch.states[part], np.full(len(part), self._sims), seeds, noise=False)
            roots = search.run(self._evaluator, slots)
            early = in_first_turns(batch, part, self._drawn_turns)
            chosen[first : first + SLOTS_MAX] = np.where(early, roots.drawn, roots.best)
        return chosen

    def _search_for(self, batch: GameBatch, games: int) -> GumbelSearch:
        search = self._search
        players = batch.variant.players
        if search is None or (search.board, search.players) != (batch.board, players) or search.slots < games:
            search = GumbelSearch(batch.board, players, games, self._settings)
            self._search = search
        return search
