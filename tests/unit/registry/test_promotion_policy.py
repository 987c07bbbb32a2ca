"""Promotion: only complete, passed, present evidence promotes; everything else is refused and says why."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.promotion_policy import (
    GauntletRow,
    Kind,
    Opponent,
    Outcome,
    PresentState,
    PromotionEvidence,
    PromotionPolicy,
    PromotionThresholds,
)

KEY = ConfigKey.parse("hex8_2p")
CANDIDATE, CHAMPION, OTHER, RULES = "c" * 64, "b" * 64, "d" * 64, "e" * 64
RANDOM = GauntletRow(Opponent.RANDOM, "random", 60, 0.97, Outcome.PASSED, needs_proof=True)
HEURISTIC = GauntletRow(Opponent.HEURISTIC, "heuristic-v1", 120, 0.75, Outcome.PASSED, needs_proof=True)
PREVIOUS = GauntletRow(Opponent.CHAMPION, CHAMPION, 400, 0.58, Outcome.PASSED, needs_proof=True)
ANCHOR = GauntletRow(Opponent.ANCHOR, OTHER, 400, 0.49, Outcome.UNDECIDED, needs_proof=False)
EVIDENCE = PromotionEvidence(KEY, CANDIDATE, CHAMPION, RULES, (RANDOM, HEURISTIC, PREVIOUS, ANCHOR))
PRESENT = PresentState(KEY, CHAMPION, RULES)
PASSED = (RANDOM, HEURISTIC, PREVIOUS)
POLICY = PromotionPolicy()


def test_complete_evidence_promotes_and_names_what_is_replaced():
    decision = POLICY.decide(EVIDENCE, PRESENT)
    assert (decision.promoted, decision.kind, decision.reason) == (True, Kind.GATE, "passed 4 rows in 980 games")
    assert (decision.key, decision.candidate, decision.replaces) == (KEY, CANDIDATE, CHAMPION)


def test_the_first_net_of_a_configuration_needs_random_and_heuristic_only():
    first = replace(EVIDENCE, champion=None, rows=(RANDOM, HEURISTIC))
    decision = POLICY.decide(first, replace(PRESENT, champion=None))
    assert (decision.promoted, decision.replaces) == (True, None)


@pytest.mark.parametrize(
    ("evidence", "present", "reason"),
    [
        (replace(EVIDENCE, rows=()), PRESENT, "no games: the gauntlet has no rows"),
        (replace(EVIDENCE, rows=(replace(RANDOM, games=0), HEURISTIC, PREVIOUS)), PRESENT, "no games against random"),
        (replace(EVIDENCE, rows=(HEURISTIC, PREVIOUS)), PRESENT, "0 rows against random, one is needed"),
        (replace(EVIDENCE, rows=(RANDOM, PREVIOUS)), PRESENT, "0 rows against heuristic, one is needed"),
        (replace(EVIDENCE, rows=(RANDOM, HEURISTIC)), PRESENT, "0 rows against champion, one is needed"),
        (replace(EVIDENCE, rows=(RANDOM, RANDOM, HEURISTIC, PREVIOUS)), PRESENT, "2 rows against random"),
        (EVIDENCE, replace(PRESENT, key=ConfigKey.parse("hex8_3p")), "a net of hex8_2p cannot be champion of hex8_3p"),
        (EVIDENCE, replace(PRESENT, rules_digest=OTHER), "made for the rules eeee"),
        (EVIDENCE, replace(PRESENT, champion=OTHER), "stale: the gauntlet was against the champion bbbb"),
        (EVIDENCE, replace(PRESENT, champion=None), "stale"),
        (replace(EVIDENCE, champion=None, rows=(RANDOM, HEURISTIC)), PRESENT, "stale: .* none, now it is bbbb"),
        (EVIDENCE, replace(PRESENT, blocked=frozenset({CANDIDATE})), "cccc.* is blocked"),
        (EVIDENCE, replace(PRESENT, champion=CANDIDATE), "is the champion already"),
        (
            replace(EVIDENCE, rows=(RANDOM, HEURISTIC, replace(PREVIOUS, name=OTHER))),
            PRESENT,
            "played against dddd.* as champion, which is bbbb",
        ),
        (
            replace(EVIDENCE, rows=(RANDOM, HEURISTIC, replace(PREVIOUS, outcome=Outcome.UNDECIDED))),
            PRESENT,
            r"undecided against champion bbbb.*: 58.0% of 400 games",
        ),
        (
            replace(EVIDENCE, rows=(RANDOM, replace(HEURISTIC, outcome=Outcome.FAILED), PREVIOUS)),
            PRESENT,
            "failed against heuristic",
        ),
        (replace(EVIDENCE, rows=(*PASSED, replace(ANCHOR, outcome=Outcome.FAILED))), PRESENT, "failed against anchor"),
        (
            replace(EVIDENCE, rows=(replace(RANDOM, needs_proof=False), HEURISTIC, PREVIOUS)),
            PRESENT,
            "was not to be proven, and must be",
        ),
        (
            replace(EVIDENCE, rows=(replace(RANDOM, share=0.85), HEURISTIC, PREVIOUS)),
            PRESENT,
            r"contradiction against random random: passed with 85.0%, needed are more than 85.0%",
        ),
        (replace(EVIDENCE, rows=(*PASSED, replace(ANCHOR, share=float("nan")))), PRESENT, "nan is no share"),
        (replace(EVIDENCE, rows=(replace(RANDOM, share=1.01), HEURISTIC, PREVIOUS)), PRESENT, "1.01 is no share"),
    ],
)  # fmt: skip
def test_what_is_missing_stale_or_doubtful_is_refused_with_its_reason(evidence, present, reason):
    decision = POLICY.decide(evidence, present)
    assert not decision.promoted
    assert re.search(reason, decision.reason), decision.reason


def test_thresholds_are_settings():
    strict = PromotionPolicy(PromotionThresholds(heuristic=0.8))
    assert strict.decide(EVIDENCE, PRESENT).reason.startswith("contradiction against heuristic")
    for share in (0.0, 1.0, -0.1):
        with pytest.raises(RulesError, match="threshold"):
            PromotionThresholds(random=share)


@pytest.mark.parametrize(
    ("players", "shares"), [(2, (0.85, 0.60, 0.50)), (3, (0.739, 0.429, 0.333)), (4, (0.654, 0.333, 0.25))]
)
def test_thresholds_are_equal_odds_for_more_players(players, shares):
    met = (Opponent.RANDOM, Opponent.HEURISTIC, Opponent.CHAMPION)
    found = [PromotionThresholds().share(opponent, players) for opponent in met]
    assert found == pytest.approx(shares, abs=5e-4)
    assert PromotionThresholds().share(Opponent.ANCHOR, players) == 0.0


def test_force_promotes_without_games_and_also_what_is_blocked_but_not_another_game_or_other_rules():
    blocked = replace(PRESENT, blocked=frozenset({CANDIDATE}))
    decision = POLICY.force(KEY, CANDIDATE, RULES, blocked, "the gate is down")
    assert (decision.promoted, decision.kind, decision.reason) == (True, Kind.MANUAL, "forced: the gate is down")
    assert not POLICY.force(ConfigKey.parse("hex8_3p"), CANDIDATE, RULES, PRESENT, "why").promoted
    assert not POLICY.force(KEY, CANDIDATE, OTHER, PRESENT, "why").promoted
    assert not POLICY.force(KEY, CHAMPION, RULES, PRESENT, "why").promoted
    with pytest.raises(RulesError, match="reason"):
        POLICY.force(KEY, CANDIDATE, RULES, PRESENT, " ")


rows = st.builds(
    GauntletRow,
    opponent=st.sampled_from(Opponent),
    name=st.sampled_from(["random", "heuristic-v1", CHAMPION, OTHER]),
    games=st.integers(0, 500),
    share=st.floats(),
    outcome=st.sampled_from(Outcome),
    needs_proof=st.booleans(),
)


@given(
    st.builds(
        PromotionEvidence,
        key=st.sampled_from([KEY, ConfigKey.parse("hex8_3p")]),
        candidate=st.sampled_from([CANDIDATE, CHAMPION]),
        champion=st.sampled_from([None, CHAMPION, OTHER]),
        rules_digest=st.sampled_from([RULES, OTHER]),
        rows=st.lists(st.sampled_from([RANDOM, HEURISTIC, PREVIOUS, ANCHOR]) | rows, max_size=6).map(tuple),
    )
)
def test_whatever_the_evidence_a_promotion_has_every_proof(evidence):
    decision = POLICY.decide(evidence, PRESENT)
    assert decision.reason
    if decision.promoted:
        assert (evidence.key, evidence.champion, evidence.rules_digest) == (KEY, CHAMPION, RULES)
        passed = {row.opponent for row in evidence.rows if row.outcome is Outcome.PASSED and row.games > 0}
        assert passed >= {Opponent.RANDOM, Opponent.HEURISTIC, Opponent.CHAMPION}
        assert all(row.outcome is not Outcome.FAILED for row in evidence.rows)
