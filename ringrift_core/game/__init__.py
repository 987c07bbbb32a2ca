"""The game of RingRift: exact rules at compiled speed (docs/rules.md).

Four doors, and nothing else is for use outside this package: `Board` (what depends on the board alone), `Game` (one
game), `GameBatch` (many games), `RulesError`. The rules themselves are kernels in rules/, one file per noun;
this package gives them text, JSON, pictures and checks. Open first: game.py, then rules/phases.py.

The doors open when they are used: processes that only name games, such as a node's, do not load the compiler.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ringrift_core.errors import RulesError

if TYPE_CHECKING:
    from ringrift_core.game.batch import GameBatch
    from ringrift_core.game.board import Board
    from ringrift_core.game.game import Game

__all__ = ["Board", "Game", "GameBatch", "RulesError"]

DOORS = {"Board": "board", "Game": "game", "GameBatch": "batch"}


def __getattr__(name: str) -> object:
    """Open a door."""
    if name not in DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{DOORS[name]}"), name)
