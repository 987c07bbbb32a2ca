"""Replaying the games of a shard through the kernels, and comparing what they lead to with what is recorded."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringrift_core.errors import StorageError
from ringrift_core.game import Board, Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules import jit
from ringrift_core.game.state import REASONS, Row, scratch_words
from ringrift_core.selfplay.columns import Columns, IntArray, offsets_of
from ringrift_core.selfplay.kernels import replay as kernels
from ringrift_core.selfplay.played_game import Uint16Array

Int16Array = npt.NDArray[np.int16]

# what one kernel call replays where the rows themselves are not wanted; bounds the memory
CHUNK_GAMES = 64
CHUNK_ROWS = 4096
PROBLEMS = {
    kernels.ENDED_EARLY: "the game is over before it",
    kernels.ILLEGAL: "it is not legal",
    kernels.OTHER_LENGTH: "its policy target is not as long as the list of legal decisions",
    kernels.UNFINISHED: "the game goes on after the last choice",
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the choices of some games lead to; a full row is a choice with a policy target."""

    rows: Int16Array  # [full rows, words] the state at each
    legal: Uint16Array  # [policy entries] its legal ids
    finals: Int16Array  # [games, words]


class Replayer:
    """Replays the games of one shard."""

    def __init__(self, key: ConfigKey, columns: Columns, *, swap: bool) -> None:
        game = Game.start(key, swap=swap)
        self.board: Board = game.board
        self.seats = key.players
        self.columns = columns
        self.choice_offsets = offsets_of(columns.counts)
        full = (columns.flags & kernels.FULL_FLAG) != 0
        self.row_offsets: IntArray = np.concatenate([[0], np.cumsum(full)])[self.choice_offsets]
        self.id_offsets = offsets_of(columns.policy_counts)
        self._start: Row = game.row

    def replay(self, first: int, last: int) -> Replayed:
        """Replay the games first .. last - 1; StorageError names the first one that does not lead where it says."""
        columns = self.columns
        games = last - first
        choices = slice(self.choice_offsets[first], self.choice_offsets[last])
        rows = slice(self.row_offsets[first], self.row_offsets[last])
        id_offsets = self.id_offsets[rows.start : rows.stop + 1] - self.id_offsets[rows.start]
        words = len(self._start)
        replayed = Replayed(
            rows=np.zeros((rows.stop - rows.start, words), np.int16),
            legal=np.zeros(id_offsets[-1], np.uint16),
            finals=np.zeros((games, words), np.int16),
        )
        endings = np.zeros((games, kernels.RANKS + self.seats), np.int64)
        problems = np.zeros((games, 2), np.int64)
        arrays = (
            *(self.board.flat, self._start, np.zeros(scratch_words(self.board), np.int16)),
            *(np.zeros(self.board.actions.size, np.uint16), columns.choices[choices]),
            *(columns.flags[choices].view(np.int8), self.choice_offsets[first : last + 1] - choices.start),
            *(columns.policy_counts[rows], self.row_offsets[first:last] - rows.start, id_offsets),
            *(replayed.finals, replayed.rows, replayed.legal, endings, problems),
        )
        kernels.replay_games(*map(jit.for_kernel, arrays))
        self._compare(first, endings, problems)
        return replayed

    def check_all(self) -> None:
        """Replay every game, a few at a time; StorageError names the first one that does not lead where it says."""
        games, first = len(self.columns.counts), 0
        while first < games:
            fitting = int(np.searchsorted(self.row_offsets, self.row_offsets[first] + CHUNK_ROWS, "right")) - 1
            last = min(max(first + 1, fitting), first + CHUNK_GAMES, games)
            self.replay(first, last)
            first = last

    def _compare(self, first: int, endings: IntArray, problems: IntArray) -> None:
        stopped = np.flatnonzero(problems[:, 0])
        if len(stopped):
            problem, choice = problems[stopped[0]].tolist()
            raise StorageError(f"game {first + stopped[0]} does not replay at choice {choice}: {PROBLEMS[problem]}")
        columns, games = self.columns, slice(first, first + len(endings))
        for name, recorded, found in (
            ("hash", columns.hashes[games], endings[:, kernels.HASH]),
            ("winner", columns.winners[games], endings[:, kernels.WINNER]),
            ("reason", columns.reasons[games], endings[:, kernels.REASON]),
            ("plies", columns.plies[games], endings[:, kernels.PLIES]),
            ("ranks", columns.ranks[games], endings[:, kernels.RANKS :]),
        ):
            wrong = np.flatnonzero((recorded != found).reshape(len(found), -1).any(axis=1))
            if len(wrong):
                i = int(wrong[0])
                says, is_in_truth = recorded[i].tolist(), found[i].tolist()
                if name == "reason":
                    says, is_in_truth = REASONS[says], REASONS[is_in_truth]
                raise StorageError(f"game {first + i} does not replay: {name} {says} recorded, {is_in_truth} reached")
