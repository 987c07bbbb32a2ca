"""Text and SVG pictures."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from ringrift_core.game import Game
from ringrift_core.game.config_key import CONFIG_KEYS
from tests.positions import play, position

SVG = "{http://www.w3.org/2000/svg}"


def scene(svg: str) -> ET.Element:
    return ET.fromstring(svg)


@pytest.mark.parametrize("key", CONFIG_KEYS, ids=str)
def test_a_picture_is_well_formed_and_shows_every_cell(key):
    game = Game.start(key)
    for number in range(40):
        legal = game.legal_decisions()
        game.decide(legal[number * 31 % len(legal)])
    root = scene(game.svg())
    polygons = root.findall(f"{SVG}g/{SVG}polygon")
    assert len(polygons) == game.board.cell_count
    assert float(root.get("width", "0")) > 300
    assert str(key) in "".join(root.itertext())


def test_a_picture_shows_rings_markers_territory_targets_and_the_last_ply():
    game = position("square8_2p", {"0,0": "1", "7,7": "221"}, {"3,3": 2}, {"5,5": 1})
    play(game, "NP", "M 0,0>0,4")
    svg = game.svg()
    root = scene(svg)
    assert len(root.findall(f"{SVG}g/{SVG}ellipse")) == 2 * 4  # edge and fill of four rings
    assert "url(#t1)" in svg
    assert root.find(f"{SVG}line") is not None
    assert "3/1" in "".join(root.itertext())
    assert "M 0,0&gt;0,4" in svg
    play(game, "NL", "NT")
    assert "opacity='.45'" in game.svg(targets=True)
    assert "opacity='.45'" not in game.svg(targets=False)


def test_a_finished_game_shows_its_result():
    game = play(position("square8_2p", {"0,0": "11"}, eliminated=[17, 17]), "NP", "M 0,0>0,2", "NL", "NT")
    assert "seat 1 wins (lps early)" in game.svg()
    assert "rank 2" in game.svg()


def test_a_tower_of_rings_stays_inside_its_cell():
    game = position("square8_2p", {"3,3": "12" * 15})
    heights = [float(ring.get("cy", "0")) for ring in scene(game.svg()).iter(f"{SVG}ellipse")]
    assert max(heights) - min(heights) < 60


def test_the_text_board_shows_what_is_on_every_cell():
    game = position("square8_2p", {"0,0": "12", "7,7": "211112"}, {"3,3": 2}, {"5,5": 1})
    lines = game.text().splitlines()
    assert lines[1].split() == ["y=0", "12", *["."] * 7]
    assert lines[4].split()[4] == "*2"
    assert lines[6].split()[6] == "#1"
    assert lines[8].split()[8] == "2:6/1"
    assert "> seat 1 (agent 1): 0 in hand" in game.text()


def test_hex_rows_are_shifted_by_half_a_cell():
    lines = Game.start("hex8_2p").text().splitlines()
    starts = [line.index(".") for line in lines[:9]]
    assert [b - a for a, b in pairwise(starts)] == [-3, -3, -3, -3, 3, 3, 3, 3]
