"""A finished game as selfplay leaves it: its choices, what the search found at some of them, how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringrift_core.errors import InvariantError
from ringrift_core.game import GameBatch
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.state import REASONS

Uint8Array = npt.NDArray[np.uint8]
Uint16Array = npt.NDArray[np.uint16]
Float32Array = npt.NDArray[np.float32]

# flags of a choice
FULL = 1  # fully searched: the choice has a policy target
OPENING = 2  # a random decision of the opening
EXPLORED = 4  # drawn from the search's result, not its best decision
FLAGS = FULL | OPENING | EXPLORED

CHOICES_MAX = 1 << 16  # of one game; the number of plies fits 15 bits
VALUE_SLACK = 1e-3  # rounding of a mean of probabilities
SURPRISE_MAX = 65504.0  # the largest float16


@dataclass(frozen=True, slots=True)
class Ending:
    """How a game ended, by agent (agents keep their number when seats are swapped)."""

    hash: int  # state hash of the final state
    winner: int  # agent 1..n
    ranks: tuple[int, ...]  # competition ranks 1..n, agent 1 first
    reason: str  # docs/formats/game-record.md lists them
    plies: int

    @staticmethod
    def of(games: GameBatch, rows: Sequence[int]) -> "list[Ending]":
        """The endings of some games of a batch, all of them over."""
        agents, winners, plies, reasons = games.agent_of_seat, games.winner, games.plies, games.reasons()
        endings = []
        for row, value, ranks in zip(rows, games.hashes(rows), games.ranks(rows), strict=True):
            if reasons[row] == "active":
                raise InvariantError(f"game {row} of the batch is not over")
            order = np.argsort(agents[row])
            endings.append(
                Ending(
                    int(value),
                    int(agents[row, winners[row] - 1]),
                    tuple(ranks[order].tolist()),
                    reasons[row],
                    int(plies[row]),
                )
            )
        return endings


@dataclass(frozen=True, slots=True)
class PlayedGame:
    """One finished game, from the start position of its config; forced decisions are not in it.

    A choice is a state with at least two legal decisions, reached by `advance()`; a full row is a choice with the flag
    FULL, in the order of the choices.
    """

    choices: Uint16Array  # [choices] the ids decided
    flags: Uint8Array  # [choices]
    targets: Sequence[Float32Array]  # [full rows] the policy target over the ascending legal list of each
    root_values: Float32Array  # [full rows, players] win probability by agent, agent 1 first
    surprise: Float32Array  # [full rows] KL divergence of the target from the prior, nats
    players: tuple[int, ...]  # by agent: number of the player in the shard's table
    seed: int  # of this game, 0 .. 2^64 - 1
    number: int  # of this game in its run, from 0
    ending: Ending

    @property
    def full(self) -> npt.NDArray[np.bool_]:
        """Which choices have a policy target, [choices]."""
        full: npt.NDArray[np.bool_] = (self.flags & FULL) != 0
        return full


def check_game(game: PlayedGame, key: ConfigKey, table_size: int) -> None:
    """InvariantError when the parts of a game do not fit together; whether it replays is tested elsewhere."""
    rows = int(game.full.sum())
    sizes = all(
        (
            game.choices.dtype == np.uint16 and game.choices.ndim == 1 and 0 < len(game.choices) <= CHOICES_MAX,
            game.flags.dtype == np.uint8 and game.flags.shape == game.choices.shape,
            len(game.targets) == rows and game.surprise.shape == (rows,),
            game.root_values.shape == (rows, key.players),
            len(game.players) == len(game.ending.ranks) == key.players,
        )
    )
    if not sizes:
        raise InvariantError(f"game {game.number}: choices, flags, targets, values and players do not fit together")
    numbers = all(
        (
            not (game.flags & ~np.uint8(FLAGS)).any(),
            all(0 <= player < table_size for player in game.players),
            0 <= game.seed < 1 << 64 and 0 <= game.number < 1 << 63,
            game.ending.reason in REASONS[1:] and 1 <= game.ending.winner <= key.players,
            all(1 <= rank <= key.players for rank in game.ending.ranks) and 0 < game.ending.plies < 1 << 15,
        )
    )
    if not numbers:
        raise InvariantError(f"game {game.number}: a flag, player, seed, number or ending is out of its range")
    _check_findings(game)


def _check_findings(game: PlayedGame) -> None:
    for target in game.targets:
        if target.ndim != 1 or len(target) < 2 or not np.isfinite(target).all() or target.min() < 0 or not target.any():
            raise InvariantError(f"game {game.number}: a policy target is no distribution over two decisions or more")
    values, surprise = game.root_values, game.surprise
    if not (np.isfinite(values).all() and np.isfinite(surprise).all()):
        raise InvariantError(f"game {game.number}: a root value or a surprise is not a number")
    if values.size and (values.min() < -VALUE_SLACK or values.max() > 1 + VALUE_SLACK):
        raise InvariantError(f"game {game.number}: a root value is no probability")
    if surprise.size and (surprise.min() < -VALUE_SLACK or surprise.max() > SURPRISE_MAX):
        raise InvariantError(f"game {game.number}: a surprise is negative or too large")
