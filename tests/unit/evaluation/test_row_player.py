"""One row whose chunks others may play: what is played here, what is waited for, and for how long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ringrift_core.evaluation.match import MatchGame
from ringrift_core.evaluation.openings import Book
from ringrift_core.evaluation.parts import Chunk
from ringrift_core.evaluation.row_player import (
    AHEAD_MAX,
    PATIENCE,
    UNMEASURED_S,
    Begun,
    Helpers,
    Pace,
    RowPlayer,
    next_chunk,
)
from ringrift_core.evaluation.series import Series, Watch
from ringrift_core.game.config_key import ConfigKey
from tests.unit.evaluation.results import weak

KEY = ConfigKey.parse("hex8_2p")
BLOCK_S = 10.0  # that a block takes here


@pytest.mark.parametrize(
    ("missing", "claimed", "overdue", "choice"),
    [
        ([0, 1, 2], [], False, 0),
        ([0, 1, 2], [1], False, 0),
        ([1, 2, 3], [1], False, 2),
        ([1, 2, 3], [1, 2], False, 3),
        ([1, 2], [1, 2], False, None),
        ([1, 2], [1, 2], True, 1),
        ([1, 2, 3], [1], True, 1),
    ],
)
def test_what_nobody_plays_is_played_first_and_what_is_overdue_before_all(missing, claimed, overdue, choice):
    assert next_chunk(missing, claimed, overdue=overdue) == choice


@dataclass
class Table:
    """A row of one block per chunk, in virtual time; `plan` says when others claim and finish chunks."""

    plan: Mapping[int, tuple[float, float]] = field(default_factory=dict)  # by chunk: from when, until when
    lies: frozenset[int] = frozenset()
    now: float = 0.0
    played: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    begun: list[Begun] = field(default_factory=list)
    remembered: frozenset[int] = frozenset()
    pace: Pace = field(default_factory=Pace)

    def row(self, count: int) -> RowPlayer:
        table = self

        class Games(Series):
            def play(self, first: int, last: int) -> list[MatchGame]:
                table.now += BLOCK_S * (last - first)
                table.played.append(first)
                return games(self, first)

        book = Book.of(KEY)
        series = Games("row 0", weak(), weak("1"), book, book.draw(count, [1, 0]), [1, 0], Watch(self, lambda: None))
        self.series = series
        helpers = Helpers(self, self.begun.append, lambda: None, lambda: self.now, self.sleep)
        return RowPlayer(0, series, [(number, number + 1) for number in range(count)], helpers, self.pace)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def recall(self, _series: str, first: int) -> Sequence[MatchGame]:
        return games(self.series, first) if first in self.remembered else ()

    def keep(self, _series: str, first: int, _games: Sequence[MatchGame]) -> None:
        self.kept.append(first)

    def look(self, row: int) -> Mapping[Chunk, Path | None]:
        assert row == 0
        return {
            (number, number + 1): None if self.now < until else Path(str(number))
            for number, (since, until) in self.plan.items() if since <= self.now
        }  # fmt: skip

    def games(self, path: Path, series: Series, chunk: Chunk) -> Sequence[MatchGame]:
        assert chunk == (int(path.name), int(path.name) + 1)
        return () if chunk[0] in self.lies else games(series, chunk[0])


def games(series: Series, first: int) -> list[MatchGame]:
    """A block from the right opening."""
    number = series.openings[first].number
    return [MatchGame(0, (1, 2), "elimination", 3, number, rotation, (1, 2)) for rotation in range(2)]


def firsts(table: Table, count: int) -> list[int]:
    """The openings of the games that a row gives, as numbers of blocks."""
    numbers = {opening.number: at for at, opening in enumerate(Book.of(KEY).draw(count, [1, 0]))}
    return [numbers[chunk[0].opening] for chunk in table.row(count)]


def test_alone_every_chunk_is_played_in_order():
    table = Table()
    assert firsts(table, 4) == table.played == [0, 1, 2, 3]


def test_a_chunk_that_others_play_is_left_to_them_and_the_order_stays():
    table = Table({1: (0, 15)})
    assert firsts(table, 4) == [0, 1, 2, 3]
    assert table.played == [0, 2, 3]
    assert table.kept == [1]


@pytest.mark.parametrize("count", [2, 9])
def test_others_have_a_chunk_for_twice_the_time_that_it_takes_here(count):
    table = Table({1: (0, 19.9)})
    assert firsts(table, count) == list(range(count))
    assert table.played == [0, *range(2, count)]
    late = Table({1: (0, 21)})
    assert firsts(late, 2) == [0, 1]
    assert late.played == [0, 1]
    assert late.now <= 31


def test_a_chunk_that_is_overdue_when_it_is_needed_is_waited_for_a_little():
    table = Table({3: (0, 34)})
    assert firsts(table, 4) == [0, 1, 2, 3]
    assert table.played == [0, 1, 2]
    late = Table({3: (0, 36)})
    assert firsts(late, 4) == [0, 1, 2, 3]
    assert late.played == [0, 1, 2, 3]


def test_who_was_waited_for_in_vain_is_waited_for_half_as_long_until_a_part_comes():
    never = Table(dict.fromkeys(range(1, 10), (0, 1e9)))
    assert firsts(never, 10) == never.played == list(range(10))
    assert never.now <= 10 * BLOCK_S + 2 * BLOCK_S, "the waits in vain sum to two chunks at most"
    again = Table({1: (0, 1e9), 2: (0, 1e9), 3: (0, 30.5), 4: (0, 47)})
    assert firsts(again, 5) == list(range(5))
    assert again.played == [0, 1, 2]
    assert again.pace.trust == 1


def test_without_a_measured_chunk_the_wait_has_an_end_too():
    table = Table({0: (0, 1e9)})
    assert firsts(table, 1) == [0]
    assert 0 <= table.now - PATIENCE * UNMEASURED_S - BLOCK_S <= 1


def test_a_slow_helper_does_not_send_the_judge_far_ahead():
    table = Table({1: (0, 1e9)})
    rows = iter(table.row(20))
    next(rows)
    next(rows)
    assert table.played == [0, 2, 1]


def test_what_cannot_be_believed_is_played_here():
    table = Table({1: (0, 5)}, frozenset({1}))
    assert firsts(table, 2) == [0, 1]
    assert (table.played, table.kept) == ([0, 1], [])


def test_what_is_remembered_is_neither_played_nor_taken():
    table = Table({1: (0, 0)}, remembered=frozenset({0, 1}))
    assert firsts(table, 3) == [0, 1, 2]
    assert (table.played, table.kept) == ([2], [])


def test_it_is_told_what_is_played_here_and_what_is_missing_behind_it():
    table = Table({1: (0, 15)})
    assert firsts(table, 4) == [0, 1, 2, 3]
    assert [(it.chunk[0], [first for first, _ in it.ahead]) for it in table.begun] == [
        (0, [1, 2, 3]), (2, [1, 3]), (3, []),
    ]  # fmt: skip
    many = Table()
    next(iter(many.row(40)))
    assert len(many.begun[0].ahead) == AHEAD_MAX


def test_a_row_that_ends_early_plays_no_further_chunk():
    table = Table()
    rows = iter(table.row(4))
    next(rows)
    assert table.played == [0]
