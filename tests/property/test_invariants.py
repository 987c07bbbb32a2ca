"""Section 13 of the rules over random games of all configurations, from a state that is counted anew each time."""

import pytest

from ringrift_core.game import Board, Game
from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import codes, per_seat, rings_at
from tests.property import SCALE
from tests.property.random_games import KEYS, SMALL, random_game


def counted(game: Game) -> dict[str, list[int]]:
    """The per-seat counters, from the cells alone."""
    row, seats = game.row, range(1, game.variant.players + 1)
    kinds = codes(game.board, row)
    rings = "".join(rings_at(game.board, row, cell) for cell in range(game.board.cell_count))
    return {
        "stacks": [kinds.count(at.STACK + seat) for seat in seats],
        "markers": [kinds.count(seat) for seat in seats],
        "territory": [kinds.count(at.COLLAPSED + seat) for seat in seats],
        "rings": [rings.count(str(seat)) for seat in seats],
    }


def kept(game: Game) -> dict[str, list[int]]:
    row = game.row
    blocks = {"stacks": at.STACKS, "markers": at.MARKERS, "territory": at.TERRITORY, "rings": at.RINGS}
    return {name: per_seat(row, block) for name, block in blocks.items()}


def check_stacks(board: Board, game: Game) -> None:
    """Height, cap and controller of every stack are those of its rings; only stacks have any."""
    row, n = game.row, board.cell_count
    for cell, code in enumerate(codes(board, row)):
        rings = rings_at(board, row, cell)
        is_stack = at.STACK < code <= at.STACK_LAST
        assert is_stack == (rings != "")
        if is_stack:
            assert code - at.STACK == int(rings[-1])
            assert row[at.CODE + 1 + n + cell] == len(rings)
            assert row[at.CODE + 1 + 2 * n + cell] == len(rings) - len(rings.rstrip(rings[-1]))


@pytest.mark.parametrize("key", KEYS)
def test_invariants_hold_after_every_ply(key):
    """Ring conservation and counters (R052), S never falls, a list is never empty while the game is active (R191)."""
    for seed in range((3 if key in SMALL else 1) * SCALE):
        progress, supply = -1, -1
        credited, mover, plies = 0, 1, 0
        for game in random_game(key, seed, plies=2000 if key in SMALL else 200):
            row, board = game.row, game.board
            if supply < 0:
                supply = game.variant.players * board.shape.rings_per_player
            assert kept(game) == counted(game)
            check_stacks(board, game)
            eliminated = per_seat(row, at.ELIMINATED)
            assert sum(per_seat(row, at.RINGS)) + sum(per_seat(row, at.HAND)) + sum(eliminated) == supply
            raised = sum(per_seat(row, at.MARKERS)) + sum(per_seat(row, at.TERRITORY)) + sum(eliminated)
            assert raised >= progress
            if plies and game.plies and len(game.plies) > plies:
                if game.plies[-1][0] in "MCK":
                    assert raised > progress
                others = sum(eliminated) - eliminated[mover - 1]
                assert others == credited  # every eliminated ring goes to the player whose ply it was
            legal = game.legal_decisions()
            assert bool(legal) != game.over
            assert legal == sorted(set(legal))
            progress, mover, plies = raised, game.player, len(game.plies)
            credited = sum(eliminated) - eliminated[mover - 1]


@pytest.mark.parametrize("key", SMALL)
def test_every_game_ends(key):
    for seed in range(20, 20 + 3 * SCALE):
        *_, game = random_game(key, seed)
        outcome = game.outcome
        assert outcome is not None
        assert outcome.ranks[outcome.winner - 1] == 1
        assert min(outcome.ranks) == 1


@pytest.mark.parametrize("key", ["square8_2p", "hex8_2p"])
def test_a_swap_changes_agents_and_nothing_else(key):
    for seed in range(5 * SCALE):
        plain, swapped = Game.start(key), Game.start(key)
        other = random_game(key, seed)
        for game in other:
            if game.player == 2 and game.phase == "ring_placement":
                break
        for ply in game.plies:
            plain.play(ply)
            swapped.play(ply)
        assert "SW" in swapped.legal_plies()
        before = swapped.state()
        swapped.play("SW")
        assert swapped.state() == before
        assert swapped.agent_of_seat == [2, 1]
        assert plain.agent_of_seat == [1, 2]
        assert "SW" not in swapped.legal_plies()
        for game in (plain, swapped):
            while not game.over:
                game.decide(game.legal_decisions()[seed % len(game.legal_decisions())])
        assert swapped.outcome is not None
        assert swapped.outcome.winner_agent == swapped.agent_of_seat[swapped.outcome.winner - 1]


@pytest.mark.parametrize("key", KEYS)
def test_undo_returns_to_every_earlier_state(key):
    seen: list[tuple[int, int, dict[str, object], list[str]]] = []
    for game in random_game(key, 4, plies=60):
        if not seen or len(game.plies) > seen[-1][0]:
            seen.append((len(game.plies), game.hash(), game.state(), game.legal_plies()))
    for count, state_hash, state, legal in reversed(seen):
        while len(game.plies) > count:
            game.undo()
        assert (game.hash(), game.state(), game.legal_plies()) == (state_hash, state, legal)


@pytest.mark.parametrize("key", KEYS)
def test_observation_is_the_state_seen_from_the_mover(key):
    from ringrift_core.game import GameBatch

    for number, game in enumerate(random_game(key, 9, plies=150)):
        if number % 25:
            continue
        cells, values = GameBatch.of(game).observe()
        fields = dict(zip(GameBatch.GLOBAL_FIELDS, values[0].tolist(), strict=True))
        planes = dict(zip(GameBatch.CELL_FIELDS, cells[0], strict=True))
        n = game.variant.players
        assert fields["mover"] == game.player
        for r in range(n):
            seat = (game.player - 1 + r) % n + 1
            assert fields[f"hand_{r}"] == game.row[at.HAND + seat]
            assert fields[f"territory_{r}"] == (planes["collapsed"] == r + 1).sum()
            assert fields[f"markers_{r}"] == (planes["marker"] == r + 1).sum()
            assert fields[f"stacks_{r}"] == (planes["controller"] == r + 1).sum()
            assert fields[f"rings_{r}"] == planes[f"rings_{r}"].sum()
        assert (planes["height"] == sum(planes[f"rings_{r}"] for r in range(4))).all()
