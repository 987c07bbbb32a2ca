"""GumbelSearch: what does not change a result, what is counted, what is refused, and the edges of float arithmetic."""

import itertools
from typing import Any

import numpy as np
import pytest

from ringrift_core.errors import RulesError
from ringrift_core.game import Board, Game, GameBatch
from ringrift_core.game.batch import Int16Array
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.search import gumbel
from ringrift_core.search.evaluator import Evaluation, Evaluator, Positions, UniformEvaluator
from ringrift_core.search.gumbel import GumbelSearch, Roots, SearchSettings
from ringrift_core.selfplay.selfplay import Selfplay, SelfplaySettings
from tests.positions import play, position
from tests.unit.search.judges import HashJudge, late_states, middle_states, random_judgement

HEX8 = Board.of("hex8")


def search_of(states: Int16Array, sims: int, settings: SearchSettings | None = None) -> GumbelSearch:
    """A search in each of some hex8 positions of two seats, begun."""
    search = GumbelSearch(HEX8, 2, len(states), settings or SearchSettings())
    search.begin(np.arange(len(states)), states, np.full(len(states), sims), 31 * np.arange(len(states)) + 1)
    return search


def run(states: Int16Array, sims: int, settings: SearchSettings | None = None, judge: Evaluator | None = None) -> Roots:
    return search_of(states, sims, settings).run(judge or HashJudge(), np.arange(len(states)))


def one(roots: Roots, i: int) -> list[list[float]]:
    """Everything about one result."""
    part = slice(*roots.legal.offsets[i : i + 2])
    arrays = (roots.legal.ids[part], roots.target[part], roots.visits[part], roots.values[i], roots.surprise[i : i + 1])
    numbers = (roots.best, roots.drawn, roots.distinct)
    return [array.tolist() for array in arrays] + [[int(array[i])] for array in numbers]


@pytest.fixture(scope="module")
def states() -> Int16Array:
    return np.concatenate([middle_states("hex8_2p", 6, 1, 40), late_states("hex8_2p", 4, 60)])


# ---- what changes nothing ----


def test_a_result_does_not_depend_on_its_neighbours(states):
    together = run(states, 40)
    slots = np.arange(len(states))
    for i in slots:
        alone = GumbelSearch(HEX8, 2, 3, SearchSettings())
        alone.begin(np.array([2]), states[i : i + 1], np.array([40]), np.array([31 * i + 1]))
        assert one(alone.run(HashJudge(), np.array([2])), 0) == one(together, int(i))


def test_slots_may_be_called_in_any_order_and_company(states):
    expected = run(states, 40)
    search = search_of(states, 40)
    rng = np.random.default_rng(5)
    judge = HashJudge()
    unfinished = np.arange(len(states))
    while len(unfinished):
        some = rng.permutation(unfinished)[: 1 + int(rng.integers(len(unfinished)))]
        positions = search.collect(some)
        if len(positions):
            search.feed(judge.evaluate(positions))
        unfinished = np.setdiff1d(unfinished, search.finished(unfinished))
    roots = search.roots(np.arange(len(states)))
    assert [one(roots, i) for i in range(len(states))] == [one(expected, i) for i in range(len(states))]


def test_room_for_edges_that_is_short_changes_nothing(states, monkeypatch):
    """It begins with none at all and doubles in the middle of searches."""
    plenty = search_of(states, 60)
    expected = plenty.run(HashJudge(), np.arange(len(states)))
    monkeypatch.setattr(gumbel, "EDGES_PER_NODE", 0)
    short = search_of(states, 60)
    assert short._edges == 0
    roots = short.run(HashJudge(), np.arange(len(states)))
    assert [one(roots, i) for i in range(len(states))] == [one(expected, i) for i in range(len(states))]
    assert short.counters == plenty.counters


def test_a_cache_changes_only_how_much_is_judged(states):
    twice = np.concatenate([states, states])
    small, large = search_of(twice, 40, SearchSettings(cache_entries=1)), search_of(twice, 40)
    slots = np.arange(len(twice))
    a, b = small.run(HashJudge(), slots), large.run(HashJudge(), slots)
    assert [one(a, int(i)) for i in slots] == [one(b, int(i)) for i in slots]
    assert small.counters.judged + small.counters.cached == large.counters.judged + large.counters.cached
    assert large.counters.judged < small.counters.judged
    large.begin(slots, twice, np.full(len(twice), 40), 31 * slots + 1)
    judged = large.counters.judged
    c = large.run(HashJudge(), slots)
    assert [one(c, int(i)) for i in slots] == [one(b, int(i)) for i in slots]
    assert large.counters.judged < judged * 1.05  # known from the first time, but for two that share an entry


def test_a_crowded_cache_never_gives_a_foreign_judgement(states):
    """Entries and logits are overwritten all the time."""
    expected = run(states, 60)
    for entries in (2, 3, 17):
        roots = run(states, 60, SearchSettings(cache_entries=entries))
        assert [one(roots, i) for i in range(len(states))] == [one(expected, i) for i in range(len(states))]


def other_judgement(state_hash: int, count: int, players: int) -> tuple[Any, Any]:
    return random_judgement(state_hash ^ 1, count, players)


def test_two_judges_share_no_judgement(states):
    """The same positions side by side, in the hands of two judges."""
    k = len(states)
    judges = {0: HashJudge(), 1: HashJudge(other_judgement)}
    search = GumbelSearch(HEX8, 2, 2 * k, SearchSettings())
    slots, who = np.arange(2 * k), np.repeat([0, 1], k)
    seeds = 31 * np.tile(np.arange(k), 2) + 1
    search.begin(slots, np.concatenate([states, states]), np.full(2 * k, 40), seeds, judges=who)
    while len(search.finished(slots)) < 2 * k:
        for number, judge in judges.items():
            positions = search.collect(slots[who == number])
            if len(positions):
                search.feed(judge.evaluate(positions))
    roots = search.roots(slots)
    for number, judge in judges.items():
        expected = run(states, 40, judge=judge)
        assert [one(roots, number * k + i) for i in range(k)] == [one(expected, i) for i in range(k)]


def test_an_opponent_in_selfplay_judges_for_itself():
    """The learner sees an even game everywhere, the opponent never; what one searches is the other's next root."""

    class Fixed:
        def __init__(self, values: list[float]) -> None:
            self.values = values

        def evaluate(self, positions: Positions) -> Evaluation:
            values = np.tile(np.array(self.values, np.float32), (len(positions), 1))
            return Evaluation(np.zeros(len(positions.legal.ids), np.float32), values)

    settings = SelfplaySettings(sims=30, opponent_shares=(1.0,), opening_max=0, search=SearchSettings(considered=2))
    selfplay = Selfplay(ConfigKey.parse("hex8_2p"), [Fixed([0.5, 0.5]), Fixed([1, 0])], settings, slots=4, seed=9)
    games = [game for done in selfplay.play(iter(range(8))) for game in done]
    early = np.concatenate([game.root_values[:5] for game in games])  # no game's end is in sight
    assert len(early) == 5 * len(games)
    assert np.abs(early - 0.5).max() < 1e-6


def test_seeds_reproduce_and_differ(states):
    assert one(run(states[:1], 30), 0) == one(run(states[:1], 30), 0)
    found = set()
    for seed in range(1, 2_000_000_000, 100_000_007):
        search = GumbelSearch(HEX8, 2, 1, SearchSettings())
        search.begin(np.array([0]), states[:1], np.array([8]), np.array([seed]))
        found.add(tuple(search.run(UniformEvaluator(), np.array([0])).visits))
    assert len(found) > 10


# ---- budgets ----


def test_a_larger_budget_may_begin_while_others_are_under_way(states):
    """Budgets grow one after the other, before and after a judgement was fed; nobody else's tree suffers."""
    budgets = [3, 8, 20, 50, 51, 120]
    search = GumbelSearch(HEX8, 2, len(budgets), SearchSettings())
    judge = HashJudge()
    for i, budget in enumerate(budgets):
        search.begin(np.array([i]), states[i : i + 1], np.array([budget]), np.array([31 * i + 1]))
        if i % 3:
            positions = search.collect(np.arange(i + 1))
            search.feed(judge.evaluate(positions))
    roots = search.run(judge, np.arange(len(budgets)))
    for i, budget in enumerate(budgets):
        alone = GumbelSearch(HEX8, 2, 1, SearchSettings())
        alone.begin(np.array([0]), states[i : i + 1], np.array([budget]), np.array([31 * i + 1]))
        assert one(roots, i) == one(alone.run(HashJudge(), np.array([0])), 0)


def test_a_larger_budget_may_begin_between_question_and_answer(states):
    search = GumbelSearch(HEX8, 2, 2, SearchSettings())
    search.begin(np.array([1]), states[1:2], np.array([5]), np.array([32]))
    for _ in range(3):
        search.feed(HashJudge().evaluate(search.collect(np.array([1]))))
    positions = search.collect(np.array([1]))
    search.begin(np.array([0]), states[:1], np.array([300]), np.array([1]))
    search.feed(HashJudge().evaluate(positions))
    roots = search.run(HashJudge(), np.arange(2))
    assert one(roots, 0) == one(run(states[:1], 300), 0)
    assert one(roots, 1) == one(run(states[:2], 5), 1)


def test_a_finished_search_keeps_its_result_when_the_room_grows(states):
    expected = one(run(states[:1], 5), 0)
    search = GumbelSearch(HEX8, 2, 2, SearchSettings())
    search.begin(np.array([0]), states[:1], np.array([5]), np.array([1]))
    while len(positions := search.collect(np.array([0]))):
        search.feed(HashJudge().evaluate(positions))
    search.begin(np.array([1]), states[1:2], np.array([200]), np.array([32]))
    search.run(HashJudge(), np.array([1]))
    assert one(search.roots(np.array([0])), 0) == expected


def test_selfplay_mixes_cheap_and_full_searches():
    settings = SelfplaySettings(sims=9, cheap_sims=2, full_share=0.2, drawn_decisions=4)
    selfplay = Selfplay(ConfigKey.parse("hex8_2p"), [UniformEvaluator()], settings, slots=5, seed=3)
    games = [game for done in selfplay.play(iter(range(6))) for game in done]
    assert len(games) == 6
    assert 0 < selfplay.tally.samples < selfplay.tally.decisions


def test_a_budget_of_none_asks_for_the_judgement_only(states):
    judge = HashJudge()
    roots = run(states, 0, judge=judge)
    assert judge.asked == [len(states)]
    assert roots.visits.sum() == 0
    assert (roots.distinct == 1).all()
    assert roots.surprise == pytest.approx(np.zeros(len(states)), abs=1e-6)
    assert np.add.reduceat(roots.target, roots.legal.offsets[:-1]) == pytest.approx(np.ones(len(states)), abs=1e-5)


# ---- counting ----


@pytest.mark.parametrize("key", ["hex8_2p", "square8_4p", "hexagonal_2p", "square19_3p"])
def test_every_simulation_is_a_new_node_or_the_end_of_a_game(key):
    states = middle_states(key, 8, 11, 70)
    if key == "hex8_2p":
        states = np.concatenate([states, late_states(key, 12, 9)])
    slots, sims = np.arange(len(states)), 33
    search = GumbelSearch(Board.of(key[:-3]), int(key[-2]), len(states), SearchSettings())
    search.begin(slots, states, np.full(len(states), sims), slots + 1)
    judge = HashJudge()
    roots = search.run(judge, slots)
    counters = search.counters
    assert (np.add.reduceat(roots.visits, roots.legal.offsets[:-1]) == sims).all()
    assert counters.judged + counters.cached + counters.ended == len(states) * (sims + 1)
    assert counters.judged == sum(judge.asked)
    assert counters.asked == len(judge.asked)
    assert counters.forced == 0
    assert (roots.distinct <= sims + 1).all()
    if key == "hex8_2p":
        assert counters.ended
    assert roots.values.sum(1) == pytest.approx(roots.values.sum(1).clip(0, int(key[-2])))


def test_the_judge_sees_only_positions_with_a_choice(states):
    class Strict(HashJudge):
        def evaluate(self, positions: Positions) -> Evaluation:
            batch = GameBatch(HEX8, Game.start("hex8_2p").variant, positions.states[positions.rows])
            legal = batch.legal()
            assert legal.ids.tolist() == positions.legal.ids.tolist()
            assert (np.diff(legal.offsets) > 1).all()
            return super().evaluate(positions)

    run(states, 40, judge=Strict())


# ---- what is found ----


def by_rings() -> Game:
    """Seat 1 needs one more eliminated ring (R061); a landing on any marker costs one (R092)."""
    stacks = {"0,0": "1", "7,7": "22", "5,5": "12", "7,0": "11"}
    markers = {"3,0": 2, "3,3": 1, "6,6": 2}
    return position("square8_2p", stacks, markers, hands=[0, 8], eliminated=[17, 4])


def winning(game: Game) -> tuple[Int16Array, set[int]]:
    """The position at its next choice, and the decisions that win at once for the mover."""
    batch = GameBatch.of(game)
    batch.advance()
    legal = batch.legal()[0]
    after = batch.copy([0] * len(legal))
    after.apply(legal)
    after.advance()
    mover = int(batch.mover[0])
    return np.asarray(batch.states).copy(), {int(a) for a, w in zip(legal, after.winner, strict=True) if w == mover}


@pytest.mark.parametrize("noise", [False, True])
def test_a_win_in_one_gets_the_target(noise):
    """The uniform judge knows nothing of it."""
    states, wins = winning(by_rings())
    search = GumbelSearch(Board.of("square8"), 2, 1, SearchSettings(considered=64))
    search.begin(np.array([0]), states, np.array([128]), np.array([77]), noise=noise)
    roots = search.run(UniformEvaluator(), np.array([0]))
    assert 0 < len(wins) < len(roots.legal[0]) / 2
    mass = sum(share for a, share in zip(roots.legal[0], roots.target, strict=True) if int(a) in wins)
    assert mass >= 0.9
    assert int(roots.best[0]) in wins
    assert roots.values[0][0] > 0.9


# ---- what is refused ----


def finished_row() -> Int16Array:
    batch = GameBatch.start("hex8_2p", 1)
    batch.play_random([5])
    assert batch.over.all()
    return np.asarray(batch.states).copy()


def forced_row() -> Int16Array:
    game = Game.start("hex8_2p")
    play(game, "P 0,0 1", "M 0,0>0,1")
    assert len(game.legal_decisions()) == 1
    return game.row[None]


@pytest.mark.parametrize("row", [finished_row, forced_row])
def test_a_root_without_a_choice_is_refused(row, states):
    search = GumbelSearch(HEX8, 2, 2, SearchSettings())
    with pytest.raises(RulesError, match="choice"):
        search.begin(np.array([0, 1]), np.concatenate([states[:1], row()]), np.array([4, 4]), np.array([1, 2]))
    search.begin(np.array([0]), states[:1], np.array([4]), np.array([1]))  # nothing was begun
    assert one(search.run(HashJudge(), np.array([0])), 0) == one(run(states[:1], 4), 0)


def test_a_slot_is_asked_about_only_after_it_has_begun(states):
    search = GumbelSearch(HEX8, 2, 2, SearchSettings())
    for call in (search.collect, search.roots):
        with pytest.raises(RulesError, match="begun"):
            call(np.array([0]))
    assert len(search.finished(np.arange(2))) == 0
    search.begin(np.array([0]), states[:1], np.array([4]), np.array([1]))
    for bad in ([1], [0, 1], [2], [-1], [1 << 40]):
        with pytest.raises(RulesError):
            search.collect(np.array(bad))
    with pytest.raises(RulesError, match="finished"):
        search.roots(np.array([0]))


@pytest.mark.parametrize(
    ("slots", "budgets", "seeds"),
    [
        ([0, 1], [4], [1, 2]),
        ([0, 0], [4, 4], [1, 2]),
        ([0, 2], [4, 4], [1, 2]),
        ([0, -1], [4, 4], [1, 2]),
        ([0, 1], [4, -1], [1, 2]),
        ([0, 1], [4, 4], [1, 0]),
        ([0, 1], [4, 4], [1, 2147483647]),
        ([0], [4], [1]),
    ],
)
def test_arguments_that_do_not_fit_are_refused(states, slots, budgets, seeds):
    search = GumbelSearch(HEX8, 2, 2, SearchSettings())
    with pytest.raises(RulesError):
        search.begin(np.array(slots), states[:2], np.array(budgets), np.array(seeds))
    other = middle_states("hex8_3p", 2, 1, 20)
    with pytest.raises(RulesError):
        search.begin(np.array([0, 1]), other, np.array([4, 4]), np.array([1, 2]))


def test_a_judgement_of_another_size_is_refused(states):
    search = search_of(states[:3], 4)
    positions = search.collect(np.arange(3))
    good = HashJudge().evaluate(positions)
    for bad in (
        Evaluation(good.logits[:-1], good.values),
        Evaluation(good.logits, good.values[:2]),
        Evaluation(good.logits, good.values[:, :1]),
        Evaluation(good.logits[:, None], good.values),
    ):
        with pytest.raises(RulesError, match="judgement"):
            search.feed(bad)
    search.feed(good)
    with pytest.raises(RulesError, match="judgement"):
        search.feed(good)  # it was taken already


@pytest.mark.parametrize(
    "settings",
    [{"considered": 0}, {"cache_entries": 0}, {"visit_weight": -1.0}, {"value_weight": float("nan")}],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(RulesError):
        SearchSettings(**settings)


# ---- edges of float arithmetic ----


def extreme(state_hash: int, count: int, players: int) -> tuple[Any, Any]:
    logits, values = random_judgement(state_hash, count, players)
    values[:] = 0
    values[state_hash % players] = 1
    return np.where(logits > 0, np.float32(1e4), np.float32(-1e4)), values


def flat(state_hash: int, count: int, players: int) -> tuple[Any, Any]:
    return np.full(count, -1e4, np.float32), np.zeros(players, np.float32)


def sharp(state_hash: int, count: int, players: int) -> tuple[Any, Any]:
    logits, values = random_judgement(state_hash, count, players)
    logits[state_hash % count] = 1e4
    return logits, (values > 0.5).astype(np.float32)


@pytest.mark.parametrize(
    ("judgement", "visit_weight"), list(itertools.product([extreme, flat, sharp], [0.0, 50.0, 1e6])), ids=str
)
def test_extreme_judgements_stay_finite(states, judgement, visit_weight):
    settings = SearchSettings(visit_weight=visit_weight)
    roots = run(states, 800 if visit_weight == 50 else 100, settings, HashJudge(judgement))
    assert np.isfinite(roots.target).all()
    assert np.isfinite(roots.values).all()
    assert np.isfinite(roots.surprise).all()
    assert (roots.target >= 0).all()
    assert ((roots.values >= 0) & (roots.values <= 1 + 1e-6)).all()
    assert np.add.reduceat(roots.target, roots.legal.offsets[:-1]) == pytest.approx(np.ones(len(states)), abs=1e-5)
