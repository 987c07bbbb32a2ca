"""Promotion: only a complete, passed, present gauntlet promotes; everything else is refused and says why."""

import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.gauntlet import row_of
from ringrift_core.evaluation.gauntlet_result import GauntletResult, GauntletRow, SearchForm, verdict_of
from ringrift_core.evaluation.sprt import Outcome, Sprt
from ringrift_core.evaluation.stored_match import Book, MatchAgent
from ringrift_core.evaluation.thresholds import Needs, Role, Thresholds, alpha_of, gate_rows
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import agent_of
from ringrift_core.registry.promotion_policy import Kind, PresentState, PromotionPolicy
from tests.unit.evaluation.results import NOW

KEY, OTHER_KEY = ConfigKey.parse("hex8_2p"), ConfigKey.parse("hex8_3p")
CANDIDATE, CHAMPION, OTHER, RULES = "c" * 64, "b" * 64, "d" * 64, Game.RULES_DIGEST
STEMS = {role: f"{number:016x}" for number, role in enumerate(Role)}


def net(sha256: str, sims: int = 64) -> MatchAgent:
    return MatchAgent(name="net", sha256=sha256, sims=sims, version=1)


AGENTS = {
    Role.RANDOM: agent_of("random", KEY).identity,
    Role.HEURISTIC: agent_of("heuristic", KEY).identity,
    Role.CHAMPION: net(CHAMPION),
    Role.ANCHOR: net(OTHER),
}


def row(role: Role, blocks: tuple[int, ...], thresholds: Thresholds | None = None, **changes: Any) -> GauntletRow:
    """A row as a gauntlet makes it; `changes` pass the checks of the record."""
    rule = gate_rows(len(blocks) - 1, thresholds or Thresholds())[role]
    test = Sprt(rule.h0, rule.h1, alpha_of(1))
    return row_of(rule, AGENTS[role], test, blocks, STEMS[role]).model_copy(update=changes)


def gauntlet(*rows: GauntletRow, **changes: Any) -> GauntletResult:
    """A gauntlet of these rows, past the checks of the record."""
    book = Book(name="book", sha256="0" * 64)
    search = SearchForm(considered=16, visit_weight=50.0, value_weight=0.1)
    first = row(Role.RANDOM, (0, 2, 60))
    return GauntletResult(
        config_key=str(KEY),
        candidate=net(CANDIDATE),
        candidate_number=1,
        search=search,
        book=book,
        seed=1,
        games_min=50,
        rows=(first,),
        verdict=Outcome.PASSED,
        reason="reason",
        created_at=NOW,
    ).model_copy(update={"rows": rows, "verdict": verdict_of(rows) if rows else Outcome.PASSED} | changes)


RANDOM, HEURISTIC = row(Role.RANDOM, (0, 2, 60)), row(Role.HEURISTIC, (2, 30, 88))
PREVIOUS, ANCHOR = row(Role.CHAMPION, (20, 140, 90)), row(Role.ANCHOR, (50, 105, 45))
PASSED = (RANDOM, HEURISTIC, PREVIOUS)
RESULT = gauntlet(*PASSED, ANCHOR)
PRESENT = PresentState(KEY, CHAMPION, RULES)
POLICY = PromotionPolicy()


def other(old: GauntletRow, **changes: Any) -> GauntletResult:
    """The passed gauntlet with one row told otherwise."""
    return gauntlet(*[each.model_copy(update=changes) if each is old else each for each in RESULT.rows])


def test_a_complete_gauntlet_promotes_and_names_what_is_replaced():
    assert [each.outcome for each in RESULT.rows] == ["passed", "passed", "passed", "undecided"]
    decision = POLICY.decide(RESULT, PRESENT)
    assert (decision.promoted, decision.kind, decision.reason) == (True, Kind.GATE, "passed 4 rows in 1264 games")
    assert (decision.key, decision.candidate, decision.replaces) == (KEY, CANDIDATE, CHAMPION)
    assert POLICY.decide(GauntletResult.model_validate_json(RESULT.model_dump_json()), PRESENT) == decision


def test_the_first_net_of_a_configuration_needs_random_and_heuristic_only():
    decision = POLICY.decide(gauntlet(RANDOM, HEURISTIC), replace(PRESENT, champion=None))
    assert (decision.promoted, decision.replaces) == (True, None)


def test_a_net_of_four_players_is_judged_by_its_own_thresholds():
    key = ConfigKey.parse("hex8_4p")
    rows = row(Role.RANDOM, (0, 0, 1, 8, 30)), row(Role.HEURISTIC, (0, 5, 25, 25, 10))
    present = PresentState(key, None, RULES)
    assert POLICY.decide(gauntlet(*rows, config_key=str(key)), present).promoted


@pytest.mark.parametrize(
    ("result", "present", "reason"),
    [
        (gauntlet(), PRESENT, "no games: the gauntlet has no rows"),
        (other(ANCHOR, games=0, blocks=(0, 0, 0)), PRESENT, "no games against anchor"),
        (other(ANCHOR, blocks=(0, 0, 0)), PRESENT, "no games against anchor"),
        (gauntlet(HEURISTIC, PREVIOUS), PRESENT, "0 rows against random, one is needed"),
        (gauntlet(RANDOM, PREVIOUS), PRESENT, "0 rows against heuristic, one is needed"),
        (gauntlet(RANDOM, HEURISTIC), PRESENT, "0 rows against champion, one is needed"),
        (gauntlet(RANDOM, RANDOM, HEURISTIC, PREVIOUS), PRESENT, "2 rows against random"),
        (RESULT, replace(PRESENT, key=OTHER_KEY), "a net of hex8_2p cannot be champion of hex8_3p"),
        (RESULT, replace(PRESENT, rules_digest=OTHER), f"made for the rules {RULES[:16]}, ours are dddd"),
        (RESULT, replace(PRESENT, champion=OTHER), "stale: the gauntlet was against the champion bbbb.*, now .* dddd"),
        (RESULT, replace(PRESENT, champion=None), "stale: .* bbbb.*, now it is none"),
        (RESULT, replace(PRESENT, blocked=frozenset({CANDIDATE})), "cccc.* is blocked"),
        (RESULT, replace(PRESENT, champion=CANDIDATE), "is the champion already"),
        (gauntlet(*PASSED, candidate=net(CANDIDATE, 800)), PRESENT, "judged with 800 simulations, .* with 64"),
        (other(PREVIOUS, agent=net(CHAMPION, 0)), PRESENT, "against champion bbbb.* with 0 simulations"),
        (other(RANDOM, agent=net(OTHER)), PRESENT, "dddd.* played as random, and is not"),
        (other(HEURISTIC, agent=AGENTS[Role.RANDOM]), PRESENT, "played as heuristic, and is not"),
        (
            gauntlet(RANDOM, HEURISTIC, row(Role.CHAMPION, (40, 110, 60))),
            PRESENT,
            r"undecided against champion bbbb.*: 54.8% of 420 games",
        ),
        (gauntlet(RANDOM, row(Role.HEURISTIC, (40, 60, 10))), PRESENT, "failed against heuristic"),
        (gauntlet(*PASSED, row(Role.ANCHOR, (120, 60, 20))), PRESENT, "failed against anchor"),
        (other(RANDOM, needs=Needs.NO_DISPROOF), PRESENT, "the gate needs proof, not no disproof"),
        (other(RANDOM, h0=0.5), PRESENT, "tested against random .* with H0 0.5000, .*; the gate has 0.8500"),
        (other(PREVIOUS, alpha=0.05), PRESENT, "alpha 0.050000, .*; the gate has .* 0.030396"),
        (other(ANCHOR, h1=0.46), PRESENT, "tested against anchor .* H1 0.4600"),
        (other(ANCHOR, beta=1e-6), PRESENT, "beta 0.000001"),
        (other(RANDOM, h0=0.95), PRESENT, "contradiction against random .*: passed, but .* are no test"),
        (other(HEURISTIC, blocks=(20, 60, 40)), PRESENT, "contradiction against heuristic .*: passed, but"),
        (other(ANCHOR, h0=1e-20), PRESENT, "contradiction against anchor .* no test"),
        (gauntlet(*PASSED, ANCHOR, candidate_number=2), PRESENT, "the gate has .* 0.007599"),
    ],
)  # fmt: skip
def test_what_is_missing_stale_or_doubtful_is_refused_with_its_reason(result, present, reason):
    decision = POLICY.decide(result, present)
    assert not decision.promoted
    assert re.search(reason, decision.reason), decision.reason


def test_no_rows_and_rows_without_games_are_not_even_read():
    for lie in ({"rows": ()}, {"rows": (RANDOM.model_copy(update={"games": 0}), HEURISTIC)}):
        with pytest.raises(ValidationError):
            GauntletResult.model_validate_json(RESULT.model_copy(update=lie).model_dump_json())


def test_thresholds_are_settings_and_a_gauntlet_below_them_is_refused():
    strict = PromotionPolicy(Thresholds(heuristic=0.7))
    assert "against heuristic" in strict.decide(RESULT, PRESENT).reason
    proven = row(Role.HEURISTIC, (2, 30, 88), Thresholds(heuristic=0.7))
    for policy in (strict, POLICY):
        assert policy.decide(gauntlet(RANDOM, proven, PREVIOUS), PRESENT).promoted
    with pytest.raises(RulesError, match="threshold"):
        PromotionPolicy(Thresholds(random=1 - 2e-16))


def test_force_promotes_without_games_and_also_what_is_blocked_but_not_another_game_or_other_rules():
    blocked = replace(PRESENT, blocked=frozenset({CANDIDATE}))
    decision = POLICY.force(KEY, CANDIDATE, RULES, blocked, "the gate is down")
    assert (decision.promoted, decision.kind, decision.reason) == (True, Kind.MANUAL, "forced: the gate is down")
    assert not POLICY.force(OTHER_KEY, CANDIDATE, RULES, PRESENT, "why").promoted
    assert not POLICY.force(KEY, CANDIDATE, OTHER, PRESENT, "why").promoted
    assert not POLICY.force(KEY, CHAMPION, RULES, PRESENT, "why").promoted
    with pytest.raises(RulesError, match="reason"):
        POLICY.force(KEY, CANDIDATE, RULES, PRESENT, " ")


def test_the_registry_is_imported_without_torch():
    code = "import sys, ringrift_core.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


lies = st.fixed_dictionaries(
    {},
    optional={
        "opponent": st.sampled_from(Role),
        "agent": st.sampled_from([*AGENTS.values(), net(CHAMPION, 16)]),
        "blocks": st.tuples(*[st.integers(0, 200)] * 3),
        "h0": st.floats(0, 1),
        "h1": st.floats(0, 1),
        "alpha": st.floats(0, 1),
        "beta": st.floats(0, 1),
        "outcome": st.sampled_from(Outcome),
        "needs": st.sampled_from(Needs),
    },
)


@given(
    st.lists(
        st.builds(lambda one, lie: one.model_copy(update=lie), st.sampled_from([*PASSED, ANCHOR]), st.just({}) | lies),
        max_size=6,
    ),
    st.sampled_from([str(KEY), str(OTHER_KEY)]),
    st.sampled_from([CANDIDATE, CHAMPION]),
    st.sampled_from([RULES, OTHER]),
)
def test_whatever_the_gauntlet_a_promotion_has_every_proof(rows, key, candidate, rules):
    result = gauntlet(*rows, config_key=key, candidate=net(candidate), rules_digest=rules)
    decision = POLICY.decide(result, PRESENT)
    assert decision.reason
    if decision.promoted:
        assert (key, candidate, rules) == (str(KEY), CANDIDATE, RULES)
        proven = {
            each.opponent
            for each in rows
            if Sprt(each.h0, each.h1, each.alpha, each.beta).outcome(each.blocks) is Outcome.PASSED
            and each.h0 >= gate_rows(2)[each.opponent].h0 - 1e-9
        }
        assert proven >= {Role.RANDOM, Role.HEURISTIC, Role.CHAMPION}
        assert all(each.outcome is not Outcome.FAILED for each in rows)
