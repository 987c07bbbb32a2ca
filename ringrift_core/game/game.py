"""Game: the door to one game, for people, records and tests."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ringrift_core.errors import RulesError
from ringrift_core.game.board import Board
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.explain import why_illegal
from ringrift_core.game.notation import Ids, Position, ply_text, sequences
from ringrift_core.game.record import Record, head_of, plies_of
from ringrift_core.game.rules import entries, jit
from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.game.state import PHASE_NAMES, REASONS, Row, Variant, new_row, per_seat, state_json, write_state
from ringrift_core.game.svg import svg_board
from ringrift_core.game.text_board import text_board


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a game ended. Lists are by seat, seat 1 first; `agents` says who sat there."""

    reason: str
    winner: int  # seat
    winner_agent: int
    ranks: list[int]  # competition ranks 1..n
    agents: list[int]
    territory: list[int]
    eliminated: list[int]  # hands added after a stalemate (R176)
    markers: list[int]
    out_turns: list[int | None]  # turn in which the last ring was lost, None = never


class Game:
    """One game from its start position on, with its record of plies.

    A *ply* is what the record shows ("M 3,0>3,4"); a *decision* is an action id. Most plies are one decision, a
    recovery slide is up to three. Illegal input raises RulesError and changes nothing.
    """

    RULES_DIGEST = RULES_DIGEST

    def __init__(self, board: Board, variant: Variant, row: Row, start: dict[str, Any] | None) -> None:
        """For the constructors below; `row` is a position whose first turn has begun."""
        self.board = board
        self.variant = variant
        self.start_state = start  # JSON state, None for the empty board
        self._first = row
        self._at = Position(board, row.copy())
        self._record: list[tuple[str, Ids]] = []  # complete plies
        self._open: Ids = ()  # decisions of the ply in hand

    @classmethod
    def start(cls, game: str | ConfigKey, *, swap: bool | None = None) -> "Game":
        """A new game of a config key such as "hex8_2p"; the swap option is on for two players unless said."""
        key = game if isinstance(game, ConfigKey) else ConfigKey.parse(game)
        board = Board.of(key.board_type)
        offered = key.players == 2 if swap is None else swap
        if offered and key.players != 2:
            raise RulesError("the swap option exists in games of two players only (R180)")
        return cls._begin(board, Variant(key.players, board.line_length(key.players), offered), None)

    @classmethod
    def from_state(cls, game: str | ConfigKey, state: dict[str, Any]) -> "Game":
        """A game from a constructed position at the start of a turn, in JSON form, without swap option.

        docs/formats/game-record.md has the form; RulesError says what is wrong with a state that is not a position.
        """
        key = game if isinstance(game, ConfigKey) else ConfigKey.parse(game)
        if type(state) is not dict:
            raise RulesError("state: must be a JSON object")
        board = Board.of(key.board_type)
        variant = Variant(key.players, board.line_length(key.players), swap=False)
        return cls._begin(board, variant, deepcopy(state))

    @classmethod
    def from_json(cls, record: Record, *, plies: int | None = None) -> "Game":
        """The game of a record (docs/formats/game-record.md) after `plies` plies, None: all of them.

        RulesError names the ply that is not legal, or what is wrong with the head.
        """
        head = head_of(record)
        if head.start_state is None:
            game = cls.start(head.key, swap=head.swap)
        elif head.swap:
            raise RulesError("head: a constructed position has no swap option, but sw is 1")
        else:
            game = cls.from_state(head.key, head.start_state)
        if head.line_length not in {None, game.variant.line_length}:
            raise RulesError(f"head: L is {head.line_length}, lines have {game.variant.line_length} markers (R120)")
        for number, text in enumerate(plies_of(record, plies), 1):
            try:
                game.play(text)
            except RulesError as error:
                raise RulesError(f"ply {number}: {error}") from None
        if plies is None:
            game.check_end(record.get("end"))
        return game

    def check_end(self, end: object) -> None:
        """RulesError when the end that a record claims is not where its plies lead; an absent end claims nothing."""
        if end is None:
            return
        if not isinstance(end, dict):
            raise RulesError("end: must be a JSON object or null")
        here = {
            "r": REASONS[self._at.read[at.REASON]] if self.over else "truncated",
            "w": self._at.read[at.WINNER] or None,
            "n": len(self._record),
            "hash": f"{self.hash():016x}",
        }
        for key, value in here.items():
            if key in end and end[key] != value:
                raise RulesError(f"end: {key} is {end[key]!r}, the plies lead to {value!r}")

    def to_json(self, game_id: str) -> Record:
        """The record of the game: head, plies, end (null while the game is active)."""
        head: Record = {
            "id": game_id,
            "bd": self.board.board_type,
            "n": self.variant.players,
            "sw": int(self.variant.swap),
        }
        if self.start_state is not None:
            head["init"] = self.start_state
        outcome, end = self.outcome, None
        if outcome is not None:
            end = {
                "r": outcome.reason,
                "w": outcome.winner,
                "rk": outcome.ranks,
                "n": len(self._record),
                "tn": self.turn,
                "agents": outcome.agents,
                "hash": f"{self.hash():016x}",
            }
        return {**head, "plies": self.plies, "end": end}

    @classmethod
    def _begin(cls, board: Board, variant: Variant, state: dict[str, Any] | None) -> "Game":
        row = new_row(board, variant)
        if state is not None:
            write_state(board, row, state)
            if row[at.PHASE] != at.PLACEMENT or set(state) & {"mm", "cc", "le", "rt"}:
                raise RulesError("state: a game can only begin at the start of a turn (f: rp, no flags)")
        entries.begin_game(jit.for_kernel(board.flat), jit.for_kernel(row))
        return cls(board, variant, row, state)

    # ---- what stands ----

    @property
    def config_key(self) -> ConfigKey:
        """Board type and number of players."""
        return ConfigKey(self.board.board_type, self.variant.players)

    @property
    def player(self) -> int:
        """Seat to move."""
        return self._at.read[at.PLAYER]

    @property
    def phase(self) -> str:
        """Name of the phase, such as "ring_placement"."""
        return PHASE_NAMES[self._at.read[at.PHASE]]

    @property
    def over(self) -> bool:
        """True when the game has ended."""
        return self._at.read[at.REASON] != 0

    @property
    def turn(self) -> int:
        """Number of the turn, from 1."""
        return self._at.read[at.TURN]

    @property
    def agent_of_seat(self) -> list[int]:
        """Who plays each seat, seat 1 first; swap_sides exchanges them."""
        return per_seat(self._at.row, at.AGENT)

    @property
    def plies(self) -> list[str]:
        """The record: every complete ply, bookkeeping included."""
        return [text for text, _ in self._record]

    @property
    def record(self) -> list[tuple[str, Ids]]:
        """Every complete ply with the decisions that it is made of."""
        return list(self._record)

    @property
    def decisions(self) -> list[int]:
        """Every decision so far, those of an unfinished ply included."""
        return [action_id for _, ids in self._record for action_id in ids] + list(self._open)

    @property
    def row(self) -> Row:
        """A copy of the state row (rules/layout.py)."""
        return self._at.row.copy()

    def state(self) -> dict[str, Any]:
        """The state in JSON form, as the recorded games have it."""
        return state_json(self.board, self._at.row)

    def hash(self) -> int:
        """62-bit hash of the state, stable across versions and machines."""
        return int(entries.hash_state(self._at.g, self._at.s))

    @property
    def outcome(self) -> Outcome | None:
        """The result, None while the game is active."""
        if not self.over:
            return None
        row = self._at.row
        entries.ranking(self._at.s, self._at.w)
        ranks = list(self._at.w[: self.variant.players])
        hands = per_seat(row, at.HAND) if row[at.REASON] >= at.STALEMATE_TERRITORY else [0] * self.variant.players
        winner = int(row[at.WINNER])
        return Outcome(
            reason=REASONS[row[at.REASON]],
            winner=winner,
            winner_agent=int(row[at.AGENT + winner]),
            ranks=[int(rank) for rank in ranks],
            agents=self.agent_of_seat,
            territory=per_seat(row, at.TERRITORY),
            eliminated=[a + b for a, b in zip(per_seat(row, at.ELIMINATED), hands, strict=True)],
            markers=per_seat(row, at.MARKERS),
            out_turns=[None if turn == at.NONE else turn for turn in per_seat(row, at.OUT_TURN)],
        )

    # ---- what is legal ----

    def legal_decisions(self) -> list[int]:
        """Ids of the legal decisions, ascending; empty when the game is over."""
        return self._at.legal()

    def legal(self) -> dict[str, Ids]:
        """Every legal ply and its ids; in the middle of a ply, those that complete it."""
        if not self._open:
            return {ply_text(self._at, ids): ids for ids in sequences(self._at)}
        before = self._before_ply()
        return {ply_text(before, ids): ids for ids in sequences(before) if ids[: len(self._open)] == self._open}

    def legal_plies(self) -> list[str]:
        """Texts of the legal plies, sorted by code point."""
        return sorted(self.legal())

    # ---- what happens ----

    def play(self, ply: str) -> None:
        """Play a ply in text notation; RulesError names the broken rule and the legal plies nearby."""
        text = " ".join(str(ply).split())
        legal = self.legal()
        ids = legal.get(text)
        if ids is None:
            raise RulesError(why_illegal(self._before_ply(), legal, text))
        for action_id in ids[len(self._open) :]:
            self.decide_legal(action_id)

    def decide(self, action_id: int) -> None:
        """Play one decision by its id; RulesError if it is not legal."""
        number = self.board.actions.number(action_id)
        legal = self._at.legal()
        if number not in legal:
            kind = self.board.actions.kind(number)
            raise RulesError(
                f"decision {number} ({kind}) is not legal in {self.phase}; "
                + (f"there are {len(legal)}: {_some(legal)}" if legal else "the game is over")
            )
        self.decide_legal(number)

    def advance(self) -> list[int]:
        """Play forced decisions up to the next real choice or the end; return their ids."""
        played = []
        while len(legal := self._at.legal()) == 1:
            self.decide_legal(legal[0])
            played.append(legal[0])
        return played

    def undo(self) -> None:
        """Take back the ply in hand, or else the last complete one."""
        if self._open:
            self._at = self._at.before_ply()
            self._open = ()
            return
        if not self._record:
            raise RulesError("there is nothing to undo: this is the start of the game")
        self._record.pop()
        self._at = Position(self.board, self._first.copy())
        for _, ids in self._record:
            for action_id in ids:
                self._at.apply(action_id)

    def decide_legal(self, action_id: int) -> None:
        """Play a decision that is known to be legal, such as one of `legal()`; it is not tested again."""
        open_ids = (*self._open, action_id)
        if self._at.goes_on(action_id):
            self._open = open_ids
        else:
            self._record.append((ply_text(self._before_ply(), open_ids), open_ids))
            self._open = ()
        self._at.apply(action_id)

    def _before_ply(self) -> Position:
        return self._at.before_ply() if self._open else self._at

    # ---- how it looks ----

    def text(self) -> str:
        """The board and the hands as plain text."""
        return text_board(self)

    def svg(self, *, targets: bool = True) -> str:
        """A picture of the position with the last ply and, if `targets`, the legal targets."""
        return svg_board(self, targets=targets)


def _some(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:12])) + (", ..." if len(ids) > 12 else "")
