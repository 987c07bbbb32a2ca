"""Opening books: what every opening promises, and that the files are the ones that were made."""

import hashlib
from importlib import resources

import numpy as np
import pytest

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation import openings as books
from ringrift_core.evaluation.book_maker import CHOICES_MAX, CHOICES_MIN, UNFAIR_MAX, make_openings, names, unfairness
from ringrift_core.evaluation.openings import Book, Opening, openings_for, play_openings, random_openings
from ringrift_core.game import GameBatch
from ringrift_core.game.actions import Action, Kind, Special
from ringrift_core.game.config_key import CONFIG_KEYS, ConfigKey


@pytest.mark.parametrize("key", CONFIG_KEYS, ids=str)
def test_each_book_has_enough_openings_of_the_promised_length(key):
    book = Book.of(key)
    assert book.key == key
    assert book.record.name == f"{key} v1"
    assert len(book.openings) == 1024
    assert [opening.number for opening in book.openings] == list(range(1024))
    assert {len(opening.choices) for opening in book.openings} == set(range(CHOICES_MIN, CHOICES_MAX + 1))
    content = resources.files("ringrift_core.evaluation").joinpath(f"books/{key}.txt").read_bytes()
    assert hashlib.sha256(content).hexdigest() == book.record.sha256
    assert len(content) < 50_000


@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p", "square19_4p", "hexagonal_2p"])
def test_openings_are_legal_balanced_and_new_under_every_symmetry(key):
    book = Book.of(key)
    batch = GameBatch.start(key, len(book.openings))
    decisions = play_openings(batch, book.openings)
    assert all(set(opening.choices) <= set(ids) for opening, ids in zip(book.openings, decisions, strict=True))
    batch.advance()
    assert not batch.over.any()
    assert len(set(names(batch, np.arange(len(batch))))) == len(batch)
    assert len(set(batch.hashes().tolist())) == len(batch)
    some = np.arange(0, len(batch), 1 if book.key.board_type in {"square8", "hex8"} else 16)
    assert unfairness(batch, some).max() <= UNFAIR_MAX
    swap = batch.board.encode(Action(Kind.SPECIAL, -1, list(Special).index(Special.SWAP_SIDES)))
    assert swap not in batch.legal(some).ids


@pytest.mark.parametrize("key", ["square8_2p", "hex8_2p"])
def test_images_of_a_position_have_one_name(key):
    batch = GameBatch.start(key, 8)
    play_openings(batch, Book.of(key).openings[:8])
    rows = np.arange(8)
    expected = names(batch, rows)
    for symmetry in range(len(batch.board.symmetries)):
        image = batch.mapped(np.full(8, symmetry))
        assert names(image, rows) == expected
    assert len(set(expected)) == 8


@pytest.mark.parametrize("key", ["square8_2p", "hex8_4p"])
def test_the_maker_makes_the_book_again(key):
    made = tuple(make_openings(ConfigKey.parse(key), 12))
    assert made == Book.of(key).openings[:12]
    assert tuple(make_openings(ConfigKey.parse(key), 12, seed=2)) != made


def test_a_damaged_or_missing_book_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(books.DIGESTS, "hex8_2p", "0" * 64)
    with pytest.raises(StorageError, match=r"hex8_2p.txt is damaged or of another version"):
        books._read.__wrapped__("hex8_2p")
    monkeypatch.setattr(books, "FOLDER", "nowhere")
    with pytest.raises(StorageError, match=r"nowhere/hex8_3p.txt is missing"):
        books._read.__wrapped__("hex8_3p")


def test_openings_are_drawn_without_repetition():
    book = Book.of("hex8_2p")
    drawn = book.draw(1024, 3)
    assert sorted(opening.number for opening in drawn) == list(range(1024))
    assert book.draw(20, 3) == drawn[:20]
    assert book.draw(20, 4) != drawn[:20]
    assert book.draw(20, [3, 1]) != book.draw(20, [3, 2])
    for many in (0, 1025):
        with pytest.raises(RulesError, match="has 1024 openings and none is used twice"):
            book.draw(many, 3)


def test_a_long_match_has_random_openings():
    openings, book = openings_for("hex8_3p", 3 * 1024, 1)
    assert book is Book.of("hex8_3p")
    assert len(openings) == 1024
    openings, book = openings_for("hex8_3p", 3 * 1024 + 1, 1)
    assert book is None
    assert [opening.number for opening in openings] == list(range(1025))
    assert len({opening.choices for opening in openings}) > 1000


def test_random_openings_depend_on_their_seed_alone(monkeypatch: pytest.MonkeyPatch):
    whole = random_openings("square8_2p", 10, 7)
    assert {len(opening.choices) for opening in whole} == {4}
    monkeypatch.setattr(books, "GAMES_AT_ONCE", 3)
    assert random_openings("square8_2p", 10, 7) == whole
    assert random_openings("square8_2p", 10, 8) != whole
    with pytest.raises(RulesError, match="at least one game"):
        random_openings("square8_2p", 0, 7)


def test_an_opening_that_cannot_be_played_is_refused():
    with pytest.raises(RulesError, match="is not legal"):
        play_openings(GameBatch.start("hex8_2p", 1), [Opening(0, (0, 0))])
