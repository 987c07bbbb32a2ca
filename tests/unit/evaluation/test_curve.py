"""Learning curves: which nets, where they stand, and the picture parsed."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from itertools import pairwise

import pytest

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.curve import RANDOM, Axis, Curve, Share, json_form, learning_curve, text_table
from ringrift_core.evaluation.curve_svg import svg_curve
from ringrift_core.evaluation.intervals import block_interval
from ringrift_core.evaluation.rating import Link
from ringrift_core.evaluation.stored_match import MatchAgent, StoredMatch
from ringrift_core.evaluation.tally import tally_of
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import agent_of
from tests.unit.evaluation.tournaments import HEURISTIC, net, stored

SVG = "{http://www.w3.org/2000/svg}"
KEY = ConfigKey("hex8", 2)
RANDOM_PLAYER = agent_of("random", KEY).identity


def meeting(agent: MatchAgent, rival: MatchAgent, won: int, games: int, players: int = 2) -> StoredMatch:
    return stored([agent, *[rival] * (players - 1)], [0] * won + [1] * (games - won))


def curve(matches: Sequence[StoredMatch], key: ConfigKey = KEY) -> Curve:
    return learning_curve(tally_of(matches, key))


def three_nets() -> list[StoredMatch]:
    nets = [net(i, version=i, evaluations=e) for i, e in ((1, 0), (2, 200_000), (3, 400_000))]
    matches = [meeting(HEURISTIC, RANDOM_PLAYER, 95, 100)]
    for agent, random, heuristic in zip(nets, (50, 80, 96), (4, 30, 70), strict=True):
        matches += [meeting(agent, RANDOM_PLAYER, random, 100), meeting(agent, HEURISTIC, heuristic, 100)]
    return matches


def numbers(text: str | None) -> list[float]:
    return [float(part) for part in (text or "").replace(",", " ").split()]


def marks(root: ET.Element, css: str) -> list[tuple[float, float, float, float]]:
    """Middle (x, y) and ends of the error bar of the points of a series."""
    found = []
    for group in root.iter(f"{SVG}g"):
        if css in group.get("class", "").split():
            for point in group.findall(f"{SVG}g"):
                low, high = bar_ends(point)
                found.append((*middle(point), low, high))
    return found


def bar_ends(point: ET.Element) -> tuple[float, float]:
    bar = next(path for path in point.iter(f"{SVG}path") if path.get("class") == "bar")
    low, high = bar.get("d", "").split("M")[1].split(" ")[1].split("V")
    return float(low), float(high)


def middle(point: ET.Element) -> tuple[float, float]:
    for mark in point:
        if "mark" in mark.get("class", "").split():
            if mark.tag == f"{SVG}circle":
                return float(mark.get("cx", "")), float(mark.get("cy", ""))
            if mark.tag == f"{SVG}rect":
                half = float(mark.get("width", "")) / 2
                return float(mark.get("x", "")) + half, float(mark.get("y", "")) + half
            x, y = mark.get("d", "")[1:].split("l")[0].split(" ")
            return float(x), float(y) + 5.2
    raise AssertionError("a point without a mark")


def height_of(root: ET.Element, panel: int, value: float) -> float:
    """Where a value lies by the ticks of a panel (0 the upper one), px."""
    ticks = [text for text in root.iter(f"{SVG}text") if "tick-y" in text.get("class", "")]
    upper = [(float(t.text[:-1]) / 100, float(t.get("y", "")) - 4) for t in ticks if t.text and t.text.endswith("%")]
    lower = [(float(t.text), float(t.get("y", "")) - 4) for t in ticks if t.text and not t.text.endswith("%")]
    (v0, y0), *_, (v1, y1) = lower if panel else upper
    return y0 + (value - v0) / (v1 - v0) * (y1 - y0)


def test_shares_and_their_bounds_are_drawn_where_they_belong():
    root = ET.fromstring(svg_curve(curve(three_nets())))
    for css, won in (("random", (50, 80, 96)), ("heuristic", (4, 30, 70))):
        for (_, y, low, high), wins in zip(marks(root, css), won, strict=True):
            assert y == pytest.approx(height_of(root, 0, wins / 100), abs=0.2)
            ends = block_interval((50 - wins // 2, 0, wins // 2))  # `meeting` has them won two by two
            assert (low, high) == pytest.approx([height_of(root, 0, end) for end in ends], abs=0.2)


def test_elo_and_its_bounds_are_drawn_where_they_belong():
    found = curve(three_nets())
    root = ET.fromstring(svg_curve(found))
    for (_, y, low, high), point in zip(marks(root, "elo"), found.points, strict=True):
        ends = [height_of(root, 1, point.elo + sign * point.margin) for sign in (-1, 1)]
        assert y == pytest.approx(height_of(root, 1, point.elo), abs=0.3)
        assert (low, high) == pytest.approx(ends, abs=0.3)
    level = next(line for line in root.iter(f"{SVG}line") if line.get("class") == "level")
    assert {level.get("y1"), level.get("y2")} == {level.get("y1")}


def test_points_stand_at_their_evaluations_with_0_at_0():
    root = ET.fromstring(svg_curve(curve(three_nets())))
    ticks = {t.text: float(t.get("x", "")) for t in root.iter(f"{SVG}text") if "tick-x" in t.get("class", "")}
    assert [x for x, *_ in marks(root, "elo")] == pytest.approx([ticks["0"], ticks["200 k"], ticks["400 k"]], abs=0.2)


@pytest.mark.parametrize(("players", "expected"), [(2, [0.85, 0.60]), (3, [0.739, 0.429]), (4, [0.654, 0.333])])
def test_the_gates_thresholds_stand_at_the_same_odds_for_more_players(players, expected):
    key = ConfigKey("hex8", players)
    matches = [meeting(net(1, version=1), rival, 12, 24, players) for rival in (RANDOM_PLAYER, HEURISTIC)]
    found = curve(matches, key)
    assert found.thresholds == pytest.approx(expected, abs=0.001)
    root = ET.fromstring(svg_curve(found))
    gates = [float(line.get("y1", "")) for line in root.iter(f"{SVG}line") if line.get("class") == "gate"]
    assert gates == pytest.approx([height_of(root, 0, share) for share in expected], abs=0.3)


def test_the_number_of_games_of_every_net_stands_in_the_strip_and_under_the_mouse():
    root = ET.fromstring(svg_curve(curve(three_nets())))
    strips = [["".join(t.itertext()) for t in g] for g in root.iter(f"{SVG}g") if "strip" in g.get("class", "")]
    assert strips == [
        ["net", "v1", "v2", "v3"],
        ["games, random", "100", "100", "100"],
        ["games, heuristic", "100", "100", "100"],
        ["games, all", "200", "200", "200"],
    ]
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert len(titles) == 9
    assert "net v2: 80 of 100 games against random, 80.0% (66.6% to 88.9%)" in titles


def test_words_of_the_strip_never_overlap():
    nets = [net(i, version=i, evaluations=1000 * i) for i in range(1, 61)]
    root = ET.fromstring(svg_curve(curve([meeting(agent, HEURISTIC, 60, 120) for agent in nets])))
    for group in root.iter(f"{SVG}g"):
        if "strip" in group.get("class", ""):
            words = sorted((float(t.get("x", "")), len(t.text or "")) for t in list(group)[1:])
            assert len(words) > 5
            assert all(b - a > 3 * (m + n) for (a, m), (b, n) in pairwise(words))
    assert "v60" in "".join(root.itertext())


def test_everything_stands_inside_the_picture():
    """Also with a net that is far better, or hardly played."""
    far = [meeting(net(9, version=9, evaluations=10**9), HEURISTIC, 600, 600), meeting(net(4, version=4), net(5), 1, 2)]
    root = ET.fromstring(svg_curve(curve([*three_nets(), *far])))
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    for css in ("random", "heuristic", "elo"):
        for x, y, low, high in marks(root, css):
            assert 100 < x < 830
            assert 110 < min(y, low, high) <= max(y, low, high) < 705
    for text in root.iter(f"{SVG}text"):
        letters = len(text.text or "") * float(text.get("font-size", "")) * 0.56
        if text.get("x"):
            x = float(text.get("x", "")) - {"end": letters, "middle": letters / 2}.get(text.get("text-anchor", ""), 0)
            assert x >= 0, text.text
            assert x + letters <= width, text.text
            assert 0 < float(text.get("y", "")) < height


def test_error_bars_longer_than_the_rest_of_the_picture_are_not_clipped():
    root = ET.fromstring(svg_curve(curve([meeting(net(1, version=1), net(2, version=2), 1, 2)])))
    assert len(marks(root, "elo")) == 2
    for _, _, low, high in marks(root, "elo"):
        assert 470 < high < low < 700


def test_one_net_with_one_opponent_is_a_curve():
    found = curve([meeting(net(1, version=1, evaluations=52_000), HEURISTIC, 5, 10)])
    (point,) = found.points
    assert point.shares == (None, Share((2, 1, 2)))
    root = ET.fromstring(svg_curve(found))
    assert (len(marks(root, "random")), len(marks(root, "heuristic")), len(marks(root, "elo"))) == (0, 1, 1)
    assert "nets: 1," in text_table(found)


def test_no_nets_are_an_error():
    with pytest.raises(RulesError, match="no net among those who played hex8_2p"):
        curve([meeting(HEURISTIC, RANDOM_PLAYER, 5, 10)])


def test_hostile_names_are_text():
    agent = net(1, version=1).model_copy(update={"name": "</title><script>x='&\"\x1b[31m\x00"})
    found = curve([meeting(agent, HEURISTIC, 5, 10)])
    picture = svg_curve(found)
    assert "<script" not in picture
    assert "\x1b" not in picture
    titles = [title.text or "" for title in ET.fromstring(picture).iter(f"{SVG}title")]
    assert titles[0].startswith("</title><script>x='&\"?[31m?: ")
    json.loads(json.dumps(json_form(found)))


def test_a_net_counts_as_it_plays_with_64_simulations_or_else_most():
    many, usual = net(1, version=1, sims=256), net(1, version=1, sims=64)
    little, more = net(2, version=2, sims=8), net(2, version=2, sims=32)
    matches = [meeting(many, HEURISTIC, 50, 100), meeting(usual, HEURISTIC, 5, 10)]
    matches += [meeting(little, HEURISTIC, 5, 10), meeting(more, HEURISTIC, 6, 12)]
    assert [point.agent.id for point in curve(matches).points] == [usual.id, more.id]


def test_nets_without_evaluations_stand_by_their_version_and_that_is_said():
    matches = [meeting(net(i, version=i), HEURISTIC, i, 10) for i in (1, 2, 5)]
    found = curve(matches)
    assert found.axis is Axis.VERSION
    assert [point.x for point in found.points] == [1, 2, 5]
    assert "stand by their version" in svg_curve(found)


def test_a_net_without_evaluations_stands_between_those_around_its_version():
    known = [net(2, version=2, evaluations=100), net(4, version=4, evaluations=300)]
    unknown = [net(1, version=1), net(3, version=3), net(7, version=7)]
    found = curve([meeting(agent, HEURISTIC, 5, 10) for agent in [*known, *unknown]])
    assert [(point.agent.version, point.x, point.placed) for point in found.points] == [
        (1, 50, False),
        (2, 100, True),
        (3, 200, False),
        (4, 300, True),
        (7, 300, False),
    ]
    assert "hollow" in svg_curve(found)


def test_who_never_lost_is_drawn_pale_and_that_is_said():
    found = curve([*three_nets(), meeting(net(9, version=9, evaluations=500_000), HEURISTIC, 40, 40)])
    assert found.points[-1].link is Link.ONE_SIDED
    picture = svg_curve(found)
    assert picture.count("<g opacity='.5'>") == 1
    assert "pale:" in picture


def test_only_games_of_one_net_against_copies_count_as_a_share():
    a, b = net(1, version=1), net(2, version=2)
    key = ConfigKey("hex8", 3)
    mixed = stored([a, b, HEURISTIC], [0] * 6)
    reverse = stored([HEURISTIC, a, a], [1] * 6)
    proper = stored([a, HEURISTIC, HEURISTIC], [0, 0, 1, 2, 1, 0])
    found = {point.agent.id: point for point in curve([mixed, reverse, proper], key).points}
    assert found[a.id].shares == (None, Share((0, 1, 1, 0)))
    assert found[b.id].shares == (None, None)


def test_random_is_known_by_what_it_does():
    assert RANDOM_PLAYER.id == RANDOM
