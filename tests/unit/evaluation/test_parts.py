"""Parts that others have played: what is taken, and what is refused with its reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringrift_core.evaluation.openings import Book
from ringrift_core.evaluation.part_offer import Offer, OfferedPart, read_offer, write_offer
from ringrift_core.evaluation.parts import OfferedParts
from ringrift_core.evaluation.series import Series
from ringrift_core.evaluation.stored_match import StoredMatch, write_match
from ringrift_core.game.config_key import ConfigKey
from tests.unit.evaluation.results import NOW, strong, weak

KEY = ConfigKey.parse("hex8_2p")
SEED = [7, 0]
CHUNK = (2, 4)


@pytest.fixture(scope="module")
def series() -> Series:
    book = Book.of(KEY)
    return Series("row 0", strong(), weak(), book, book.draw(6, SEED), SEED)


@pytest.fixture(scope="module")
def part(series: Series) -> StoredMatch:
    return series.match(series.play(*CHUNK), seed=SEED[0], purpose="part", now=NOW)


class Judge:
    """Who takes parts, and what was said of those that were refused."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "parts.json"
        self.told: list[tuple[str, str]] = []
        self.parts = OfferedParts(self.path, lambda name, reason: self.told.append((name, reason)))

    def offer(self, *parts: OfferedPart) -> None:
        write_offer(self.path, Offer(parts=parts))


def test_a_sound_part_gives_the_games_that_the_judge_would_have_played(tmp_path, series, part):
    judge = Judge(tmp_path)
    path = write_match(tmp_path, part)
    judge.offer(OfferedPart(row=0, first=2, last=4, file=str(path)), OfferedPart(row=1, first=0, last=2))
    assert judge.parts.look(0) == {CHUNK: path}
    assert judge.parts.look(1) == {(0, 2): None}
    assert judge.parts.games(path, series, CHUNK) == series.play(*CHUNK)
    assert judge.told == []


def altered(change: Callable[[dict[str, Any]], None]) -> Callable[[StoredMatch], StoredMatch]:
    def make(part: StoredMatch) -> StoredMatch:
        form = part.model_dump()
        change(form)
        return StoredMatch.model_validate(form)

    return make


def game(number: int, **changes: object) -> Callable[[StoredMatch], StoredMatch]:
    return altered(lambda form: form["games"][number].update(changes))


LIES = {
    "another seed": (altered(lambda form: form.update(seed=8)), "no part of this row"),
    "other agents": (altered(lambda form: form.update(agents=form["agents"][::-1])), "no part of this row"),
    "another book": (altered(lambda form: form["book"].update(sha256="0" * 64)), "no part of this row"),
    "no part": (altered(lambda form: form.update(purpose="gauntlet")), "does not have the games of the blocks 2 to 3"),
    "one block": (altered(lambda form: form.update(games=form["games"][:2])), "does not have the games"),
    "blocks turned": (
        altered(lambda form: form.update(games=form["games"][2:] + form["games"][:2])), "does not have the games",
    ),
    "a block twice": (
        altered(lambda form: form.update(games=form["games"][:2] * 2)), "does not have the games",
    ),
    "a block too many": (
        altered(lambda form: form.update(games=form["games"] + form["games"][:2])), "does not have the games",
    ),
    "another winner": (game(0, winner=1, ranks=(2, 1)), "winner 1 recorded, 0 reached"),
    "an illegal ply": (game(1, decisions=(65535,)), "game 1 is not what it says"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_part_that_is_wrong_in_any_way_is_refused_once_with_the_reason(tmp_path, series, part, lie):
    make, reason = LIES[lie]
    judge = Judge(tmp_path)
    path = write_match(tmp_path, make(part))
    judge.offer(OfferedPart(row=0, first=2, last=4, file=str(path)))
    assert judge.parts.games(path, series, CHUNK) == ()
    assert judge.parts.look(0) == {}
    assert [(name, reason in why) for name, why in judge.told] == [(path.name, True)], judge.told


def test_a_part_that_is_not_there_or_damaged_is_refused(tmp_path, series, part):
    judge = Judge(tmp_path)
    path = write_match(tmp_path, part)
    path.write_bytes(path.read_bytes()[:-1])
    assert judge.parts.games(path, series, CHUNK) == judge.parts.games(tmp_path / "gone.json", series, CHUNK) == ()
    assert [name for name, _ in judge.told] == [path.name, "gone.json"]


def test_a_damaged_offer_offers_nothing_until_it_is_whole_again(tmp_path):
    judge = Judge(tmp_path)
    assert judge.parts.look(0) == {}
    judge.path.write_text("{")
    assert judge.parts.look(0) == judge.parts.look(0) == {}
    assert [name for name, _ in judge.told] == ["parts.json"]
    judge.offer(OfferedPart(row=0, first=0, last=2))
    assert judge.parts.look(0) == {(0, 2): None}


def test_an_offer_is_read_as_it_was_written(tmp_path):
    offer = Offer(parts=(OfferedPart(row=1, first=0, last=2), OfferedPart(row=2, first=1, last=3, file="/a")))
    write_offer(tmp_path / "parts.json", offer)
    assert read_offer(tmp_path / "parts.json") == offer
    assert read_offer(tmp_path / "none.json") == Offer()
