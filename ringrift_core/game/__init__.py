"""The game of RingRift: exact rules at compiled speed (docs/rules.md).

Four doors, and nothing else is for use outside this package: `Board` (what depends on the board alone), `Game` (one
game), `GameBatch` (many games), `RulesError`. The rules themselves are kernels in rules/, one file per noun;
this package gives them text, JSON, pictures and checks. Open first: game.py, then rules/phases.py.
"""

from ringrift_core.errors import RulesError
from ringrift_core.game.batch import GameBatch
from ringrift_core.game.board import Board
from ringrift_core.game.game import Game

__all__ = ["Board", "Game", "GameBatch", "RulesError"]
