"""Constructed positions for tests."""

from typing import Any

from ringrift_core.game import Board, Game


def position(
    key: str,
    stacks: dict[str, str] | None = None,
    markers: dict[str, int] | None = None,
    collapsed: dict[str, int] | None = None,
    *,
    hands: list[int] | None = None,
    eliminated: list[int] | None = None,
    player: int = 1,
) -> Game:
    """A game from a position; rings that are nowhere else were eliminated, shared out evenly unless said."""
    board_type, players = key.rsplit("_", 1)
    n = int(players[0])
    board = Board.of(board_type)
    stacks, collapsed = stacks or {}, collapsed or {}
    hands = hands or [0] * n
    gone = n * board.shape.rings_per_player - sum(map(len, stacks.values())) - sum(hands)
    if eliminated is None:
        eliminated = [gone // n + (seat < gone % n) for seat in range(n)]
    state: dict[str, Any] = {
        "s": stacks,
        "m": markers or {},
        "c": collapsed,
        "h": hands,
        "e": eliminated,
        "t": [list(collapsed.values()).count(seat) for seat in range(1, n + 1)],
        "p": player,
        "f": "rp",
    }
    return Game.from_state(key, state)


def play(game: Game, *plies: str) -> Game:
    """Play plies and return the game."""
    for ply in plies:
        game.play(ply)
    return game
