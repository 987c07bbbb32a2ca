"""Symmetries of the board commute with legality and with play, up to the rules that are not symmetric themselves.

Two rules look at coordinates: border markers on hex8 spread by the king steps of the axial plane (R145), which only the
four symmetries in `Board.exact_symmetries` keep, and a recovery slide that completes lines on several axes prefers the
first axis (R112), which only the identity keeps.
"""

import numpy as np
import pytest

from ringrift_core.game import GameBatch
from ringrift_core.game.actions import Kind
from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import for_kernel
from ringrift_core.game.rules.recovery import run_after_slide
from tests.property import SCALE
from tests.property.random_games import KEYS, SMALL, random_batch


def completes_several_lines(batch: GameBatch, i: int, ids: list[int]) -> bool:
    """True when some listed recovery slide, or the open one, makes eligible runs on more than one axis."""
    board, row = batch.board, batch.states[i]
    if row[at.PHASE] != at.MOVEMENT:
        return False
    slides = [board.actions.ray(a) for a in ids if board.actions.kind(a) is Kind.RAY]
    if row[at.PENDING]:
        slides = [(int(row[at.PENDING_FROM]), int(row[at.PENDING_TO]))]
    g, s = for_kernel(board.flat), for_kernel(row)
    for source, landing in slides:
        if row[at.CODE + source] > at.MARKER_LAST or row[at.CODE + landing] != at.EMPTY:
            continue
        lengths = [run_after_slide(g, s, source, landing, axis)[1] for axis in range(len(board.axes))]
        if sum(length >= row[at.LINE_LENGTH] for length in lengths) > 1:
            return True
    return False


@pytest.mark.parametrize("key", KEYS)
def test_symmetries_commute_with_legality_and_play(key):
    rng = np.random.default_rng(1)
    checked = 0
    for plies in range(0, 160, 4) if key in SMALL else (20, 60, 130, 250, 400):
        batch = random_batch(key, 6 * SCALE if key in SMALL else 2 * SCALE, 100 + plies, plies)
        batch = batch.copy(np.flatnonzero(~batch.over))
        legal = batch.legal()
        for symmetry in range(len(batch.board.symmetries)):
            symmetries = np.full(len(batch), symmetry)
            images = batch.mapped(symmetries)
            image_ids = batch.map_ids(symmetries, legal)
            image_legal = images.legal()
            chosen = np.zeros(len(batch), np.int64)
            chosen_images = np.zeros(len(batch), np.int64)
            exact = np.ones(len(batch), bool)
            for i in range(len(batch)):
                of_game = slice(legal.offsets[i], legal.offsets[i + 1])
                ids, mapped = legal.ids[of_game], image_ids[of_game]
                pick = int(rng.integers(len(ids)))
                chosen[i], chosen_images[i] = ids[pick], mapped[pick]
                exact[i] = not completes_several_lines(batch, i, ids.tolist())
                claims = batch.board.actions.kind(int(ids[pick])) is Kind.REGION
                if claims and symmetry not in batch.board.exact_symmetries:
                    exact[i] = False
                if exact[i] or claims:
                    assert sorted(mapped.tolist()) == image_legal[i].tolist()
            played, played_images = batch.copy(), images.copy()
            played.apply(chosen)
            played_images.apply(np.where(exact, chosen_images, image_legal.ids[image_legal.offsets[:-1]]))
            same = played.mapped(symmetries).hashes() == played_images.hashes()
            assert same[exact].all()
            checked += int(exact.sum())
    assert checked > 50


@pytest.mark.parametrize("key", KEYS)
def test_a_symmetry_and_its_inverse_are_the_identity(key):
    batch = random_batch(key, 4, 7, 60)
    cells = batch.board.symmetries
    for number, images in enumerate(cells):
        back = int(np.flatnonzero((cells == np.argsort(images)).all(axis=1))[0])
        there = batch.mapped(np.full(4, number))
        np.testing.assert_array_equal(there.mapped(np.full(4, back)).hashes(), batch.hashes())
