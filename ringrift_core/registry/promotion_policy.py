"""Whether a candidate becomes champion, from its stored gauntlet and what stands now alone.

A decision is right for one champion only: it names the one that it was made against, so that whoever carries it out can
compare and set. Everything that is missing or doubtful is a refusal with its reason, never an exception. That the games
were played as the gauntlet says is for `check_gauntlet` to find.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.gauntlet_result import GauntletResult, GauntletRow
from ringrift_core.evaluation.odds import PLAYERS
from ringrift_core.evaluation.sprt import Outcome, Sprt
from ringrift_core.evaluation.thresholds import (
    BETA,
    DOCUMENTED,
    GateRow,
    Needs,
    Role,
    Thresholds,
    alpha_of,
    gate_rows,
)
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.names import NET_SIMS, SIMPLE

ROUNDING = 1e-9  # of shares and rates that another machine computed


@dataclass(frozen=True, slots=True)
class PresentState:
    """What stands when the decision is made."""

    key: ConfigKey
    champion: str | None  # sha256
    rules_digest: str
    blocked: frozenset[str] = frozenset()


class Kind(Enum):
    """How a promotion came about."""

    GATE = "gate"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """Whether, why, and for which champion: carry it out only while `replaces` is still the champion."""

    promoted: bool
    reason: str
    kind: Kind
    key: ConfigKey
    candidate: str
    replaces: str | None


class PromotionPolicy:
    """Decides about promotions; pure. RulesError for thresholds from which no share can be told."""

    def __init__(self, thresholds: Thresholds = DOCUMENTED) -> None:
        self._rules = {players: gate_rows(players, thresholds) for players in PLAYERS}

    def decide(self, result: GauntletResult, present: PresentState) -> PromotionDecision:
        """Promoted only when nothing speaks against it; the reason names the first thing that does."""
        refusal = next(self._refusals(result, present), None)
        played = sum(row.games for row in result.rows)
        return PromotionDecision(
            promoted=refusal is None,
            reason=refusal or f"passed {len(result.rows)} rows in {played} games",
            kind=Kind.GATE,
            key=ConfigKey.parse(result.config_key),
            candidate=result.candidate.sha256,
            replaces=present.champion,
        )

    def force(
        self, key: ConfigKey, candidate: str, rules_digest: str, present: PresentState, reason: str
    ) -> PromotionDecision:
        """A person promotes: no gauntlet, and a blocked digest too; not another game or other rules.

        RulesError without a reason.
        """
        if not reason.strip():
            raise RulesError("a forced promotion needs a reason")
        refusal = _refuse_state(key, candidate, rules_digest, present)
        return PromotionDecision(
            promoted=refusal is None,
            reason=refusal or f"forced: {reason}",
            kind=Kind.MANUAL,
            key=key,
            candidate=candidate,
            replaces=present.champion,
        )

    def _refusals(self, result: GauntletResult, present: PresentState) -> Iterator[str]:
        """Everything that speaks against it."""
        key, candidate = ConfigKey.parse(result.config_key), result.candidate
        foreign = _refuse_state(key, candidate.sha256, result.rules_digest, present)
        if foreign is not None:
            yield foreign
        if candidate.sha256 in present.blocked:
            yield f"{candidate.sha256} is blocked"
        if candidate.sims != NET_SIMS:
            yield f"judged with {candidate.sims} simulations, the gate judges with {NET_SIMS}"
        if not result.rows:
            yield "no games: the gauntlet has no rows"
        alpha = alpha_of(result.candidate_number)
        for row in result.rows:
            yield from _row_refusals(row, self._rules[key.players][row.opponent], alpha)
        yield from _missing_rows(result, present)


def _row_refusals(row: GauntletRow, rule: GateRow, alpha: float) -> Iterator[str]:
    who = f"against {row.opponent} {row.agent.sha256[:16]}"
    score = f"{row.share:.1%} of {row.games} games"
    if not row.games or not any(row.blocks):
        yield f"no games {who}"
    if row.needs is not rule.needs:
        yield f"{who} the gate needs {rule.needs}, not {row.needs}"
    if row.outcome is Outcome.FAILED:
        yield f"failed {who}: {score}"
    if not row.passes:
        yield f"undecided {who}: {score}"
    if _laxer(row, rule, alpha):
        yield (
            f"tested {who} with H0 {row.h0:.4f}, H1 {row.h1:.4f}, alpha {row.alpha:.6f}, beta {row.beta:.6f}; "
            f"the gate has {rule.h0:.4f}, {rule.h1:.4f}, {alpha:.6f}, {BETA:.6f}"
        )
    found = _outcome(row)
    if row.outcome is not found:
        yield f"contradiction {who}: {row.outcome}, but {score} are {found or 'no test'}"
    known = SIMPLE.get(row.opponent)
    if known is not None and (row.agent.sha256, row.agent.sims) != (known.sha256, None):
        yield f"{row.agent.sha256[:16]} played as {row.opponent}, and is not"
    if known is None and row.agent.sims != NET_SIMS:
        yield f"{who} with {row.agent.sims} simulations, the gate judges with {NET_SIMS}"


def _laxer(row: GauntletRow, rule: GateRow, alpha: float) -> bool:
    """Whether a test is easier to come through than that of the gate."""
    if rule.needs is Needs.PROOF:
        return row.h0 < rule.h0 - ROUNDING or row.alpha > alpha + ROUNDING
    return row.h1 < rule.h1 - ROUNDING or row.beta < BETA - ROUNDING


def _outcome(row: GauntletRow) -> Outcome | None:
    """What the test of a row says of its blocks; None where it is no test."""
    try:
        return Sprt(row.h0, row.h1, row.alpha, row.beta).outcome(row.blocks)
    except RulesError:
        return None


def _missing_rows(result: GauntletResult, present: PresentState) -> Iterator[str]:
    met = [row.opponent for row in result.rows]
    needed = [Role.RANDOM, Role.HEURISTIC]
    if present.champion is not None:
        needed.append(Role.CHAMPION)
    for role in needed:
        if met.count(role) != 1:
            yield f"{met.count(role)} rows against {role}, one is needed"
    champion = result.champion.sha256 if result.champion else None
    if champion != present.champion:
        yield f"stale: the gauntlet was against the champion {_short(champion)}, now it is {_short(present.champion)}"


def _refuse_state(key: ConfigKey, candidate: str, rules_digest: str, present: PresentState) -> str | None:
    checks: tuple[tuple[bool, Callable[[], str]], ...] = (
        (key != present.key, lambda: f"a net of {key} cannot be champion of {present.key}"),
        (
            rules_digest != present.rules_digest,
            lambda: f"made for the rules {_short(rules_digest)}, ours are {_short(present.rules_digest)}",
        ),
        (candidate == present.champion, lambda: f"{_short(candidate)} is the champion already"),
    )
    return next((say() for wrong, say in checks if wrong), None)


def _short(digest: str | None) -> str:
    return "none" if digest is None else digest[:16]
