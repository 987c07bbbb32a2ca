"""Matches: blocks of rotations over one opening, every game counted once and replayable."""

from datetime import UTC, datetime

import numpy as np
import pytest

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.intervals import block_interval
from ringrift_core.evaluation.match import MatchResult, play_match, stored
from ringrift_core.evaluation.openings import Book, random_openings
from ringrift_core.game import Game, GameBatch
from ringrift_core.game.batch import IntArray
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.player import GreedyPlayer, Player, RandomPlayer
from ringrift_core.players.roster import agent_of
from tests.unit.evaluation.results import Cheat


def match(key: str, games: int, seed: int = 3, opening: int = 4) -> MatchResult:
    """A greedy player among random ones."""
    n = int(key[-2])
    randoms = [RandomPlayer(np.random.default_rng(i)) for i in range(1, n)]
    openings = random_openings(key, -(-games // n), seed, opening)
    return play_match(key, [GreedyPlayer(np.random.default_rng(0)), *randoms], openings)


@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p", "hex8_4p"])
def test_every_game_is_counted_once(key):
    result = match(key, 12)
    n = len(result.names)
    assert len(result.games) == 12
    assert sum(result.wins) == 12
    for game in result.games:
        assert len(game.ranks) == n
        assert game.ranks[game.winner] == 1
        assert game.reason != "active"
    assert all(1 <= rank <= n for rank in result.mean_ranks)


def test_a_block_is_one_opening_in_every_rotation():
    result = match("hex8_3p", 7)
    assert len(result.games) == 9, "rounded up to whole blocks"
    for first in range(0, 9, 3):
        block = result.games[first : first + 3]
        assert [game.rotation for game in block] == [0, 1, 2]
        assert len({game.opening for game in block}) == 1
    assert len({game.opening for game in result.games}) == 3


def choices(key: str, decisions: tuple[int, ...], many: int) -> list[int]:
    """The first decisions of a game that were not forced."""
    batch = GameBatch.start(key, 1)
    found: list[int] = []
    for decision in decisions:
        if len(batch.legal()[0]) > 1:
            found.append(decision)
        if len(found) == many:
            break
        batch.apply([decision])
    return found


def test_the_games_of_a_block_begin_alike():
    result = match("square8_2p", 8, opening=6)
    begins = [choices("square8_2p", game.decisions, 6) for game in result.games]
    assert begins[0::2] == begins[1::2]
    assert len({tuple(begin) for begin in begins}) > 1


@pytest.mark.parametrize("key", ["square8_2p", "hex8_4p"])
def test_a_recorded_game_can_be_replayed(key):
    for game in match(key, 8).games:
        replay = Game.start(key)
        for decision in game.decisions:
            replay.decide(decision)
        outcome = replay.outcome
        assert outcome is not None
        assert (outcome.winner_agent - 1 + game.rotation) % int(key[-2]) == game.winner
        assert outcome.reason == game.reason
        assert len(replay.plies) == game.plies


def test_the_same_seeds_play_the_same_match():
    assert match("hex8_2p", 8) == match("hex8_2p", 8)
    assert match("hex8_2p", 8) != match("hex8_2p", 8, seed=4)


def test_a_match_needs_games_and_as_many_players_as_seats():
    with pytest.raises(RulesError):
        match("hex8_2p", 0)
    with pytest.raises(RulesError):
        play_match("hex8_3p", [RandomPlayer(np.random.default_rng(1))] * 2, random_openings("hex8_3p", 2, 1))
    with pytest.raises(RulesError, match="at least one game"):
        play_match("hex8_2p", [RandomPlayer(np.random.default_rng(1))] * 2, [])


def test_a_share_has_bounds_over_blocks():
    result = match("hex8_3p", 12)
    share, low, high = result.share(0)
    assert share == result.wins[0] / 12
    assert (low, high) == block_interval(result.blocks(0))
    for player in range(3):
        won = [sum(game.winner == player for game in result.games[first : first + 3]) for first in range(0, 12, 3)]
        assert result.blocks(player) == [won.count(number) for number in range(4)]


def test_games_begin_with_the_openings_of_the_book():
    openings = Book.of("square8_2p").draw(4, 1)
    players = [RandomPlayer(np.random.default_rng(i)) for i in range(2)]
    result = play_match("square8_2p", players, openings)
    assert [game.opening for game in result.games] == [opening.number for opening in openings for _ in range(2)]
    for game, opening in zip(result.games[::2], openings, strict=True):
        assert tuple(choices("square8_2p", game.decisions, len(opening.choices))) == opening.choices


class Counting(RandomPlayer):
    """Counts how often it is asked."""

    asked = 0

    def choose(self, batch: GameBatch, rows: IntArray) -> IntArray:
        self.asked += 1
        return super().choose(batch, rows)


def test_a_player_in_several_seats_decides_for_all_at_a_time():
    openings = Book.of("hex8_4p").draw(4, 1)

    def asked(copies: list[Counting]) -> int:
        players: list[Player] = [GreedyPlayer(np.random.default_rng(0)), *copies]
        play_match("hex8_4p", players, openings)
        return sum(player.asked for player in set(copies))

    one = Counting(np.random.default_rng(1))
    assert asked([one] * 3) < 0.6 * asked([Counting(np.random.default_rng(i)) for i in range(3)])


def test_an_illegal_choice_is_an_error_and_no_loss():
    players: list[Player] = [GreedyPlayer(np.random.default_rng(0)), Cheat(np.random.default_rng(1))]
    with pytest.raises(RulesError, match=r"cheat chose what cannot be played: game \d: decision 2027 is not legal"):
        play_match("hex8_2p", players, Book.of("hex8_2p").draw(2, 1))


def test_blocks_count_the_wins_of_a_block():
    result = match("hex8_3p", 30)
    counts = result.blocks(0)
    assert len(counts) == 4
    assert sum(counts) == 10
    assert sum(won * blocks for won, blocks in enumerate(counts)) == result.wins[0]


def test_a_match_is_stored_with_all_that_is_known():
    key = ConfigKey.parse("hex8_3p")
    agents = [agent_of(name, key) for name in ("greedy", "random", "random")]
    players = [agent.player(np.random.default_rng(i)) for i, agent in enumerate(agents)]
    book = Book.of(key)
    result = play_match(key, players, book.draw(2, 5))
    kept = stored(
        result,
        [agent.identity for agent in agents],
        book=book,
        seed=5,
        purpose="match",
        now=datetime(2026, 1, 31, tzinfo=UTC),
    )
    assert kept.blocks(1) == result.blocks(1)
    assert [agent.name for agent in kept.agents] == ["greedy", "random", "random"]
    assert kept.book == book.record
    for game, played in zip(kept.games, result.games, strict=True):
        assert game.model_dump() == {
            "opening": played.opening,
            "rotation": played.rotation,
            "winner": played.winner,
            "ranks": played.ranks,
            "reason": played.reason,
            "plies": played.plies,
            "decisions": played.decisions,
        }
