"""Whether a candidate becomes champion, from the evidence of its gauntlet alone.

A decision is right for one champion only: it names the one that it was made against, so that whoever carries it out can
compare and set. Everything that is missing or doubtful is a refusal with its reason, never an exception.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.odds import elo_of_share, share_of_elo


class Opponent(Enum):
    """Whom a row is about."""

    RANDOM = "random"
    HEURISTIC = "heuristic"
    CHAMPION = "champion"
    ANCHOR = "anchor"  # the best ever and others once beaten: one row each


class Outcome(Enum):
    """How the sequential test of a row ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"  # at its cap


PROVEN = frozenset({Opponent.RANDOM, Opponent.HEURISTIC, Opponent.CHAMPION})  # an anchor only must not disprove


@dataclass(frozen=True, slots=True)
class PromotionThresholds:
    """Shares that must be exceeded in games between two; RulesError outside (0, 1)."""

    random: float = 0.85
    heuristic: float = 0.60
    previous: float = 0.50

    def __post_init__(self) -> None:
        if not all(0 < share < 1 for share in (self.random, self.heuristic, self.previous)):
            raise RulesError("a threshold is a share between 0 and 1")

    def share(self, opponent: Opponent, players: int) -> float:
        """The share among `players` at the same odds against each opponent; 0 for an anchor."""
        between_two = {
            Opponent.RANDOM: self.random,
            Opponent.HEURISTIC: self.heuristic,
            Opponent.CHAMPION: self.previous,
        }
        if opponent not in between_two:
            return 0.0
        return share_of_elo(elo_of_share(between_two[opponent], 2), players)


@dataclass(frozen=True, slots=True)
class GauntletRow:
    """The games against one opponent and what they prove."""

    opponent: Opponent
    name: str  # of the opponent: a digest, or what rules of thumb are called
    games: int
    share: float  # of first places
    outcome: Outcome
    needs_proof: bool  # False: only a proven loss counts against the candidate


@dataclass(frozen=True, slots=True)
class PromotionEvidence:
    """A finished gauntlet."""

    key: ConfigKey
    candidate: str  # sha256
    champion: str | None  # sha256 at the time of the gauntlet
    rules_digest: str
    rows: tuple[GauntletRow, ...]


@dataclass(frozen=True, slots=True)
class PresentState:
    """What stands when the decision is made."""

    key: ConfigKey
    champion: str | None
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
    """Decides about promotions; pure."""

    def __init__(self, thresholds: PromotionThresholds | None = None) -> None:
        self.thresholds = PromotionThresholds() if thresholds is None else thresholds

    def decide(self, evidence: PromotionEvidence, present: PresentState) -> PromotionDecision:
        """Promoted only when nothing speaks against it; the reason names the first thing that does."""
        refusal = next(self._refusals(evidence, present), None)
        played = sum(row.games for row in evidence.rows)
        return PromotionDecision(
            promoted=refusal is None,
            reason=refusal or f"passed {len(evidence.rows)} rows in {played} games",
            kind=Kind.GATE,
            key=evidence.key,
            candidate=evidence.candidate,
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

    def _refusals(self, evidence: PromotionEvidence, present: PresentState) -> Iterator[str]:
        """Everything that speaks against it."""
        foreign = _refuse_state(evidence.key, evidence.candidate, evidence.rules_digest, present)
        if foreign is not None:
            yield foreign
        if evidence.candidate in present.blocked:
            yield f"{evidence.candidate} is blocked"
        if evidence.champion != present.champion:
            yield (
                f"stale: the gauntlet was against the champion {_short(evidence.champion)}, "
                f"now it is {_short(present.champion)}"
            )
        if not evidence.rows:
            yield "no games: the gauntlet has no rows"
        for row in evidence.rows:
            yield from self._row_refusals(row, evidence.key.players)
        yield from _missing_rows(evidence)

    def _row_refusals(self, row: GauntletRow, players: int) -> Iterator[str]:
        who = f"against {row.opponent.value} {row.name[:16]}"
        if row.games < 1:
            yield f"no games {who}"
        if not (math.isfinite(row.share) and 0 <= row.share <= 1):
            yield f"{row.share} is no share {who}"
        if row.opponent in PROVEN and not row.needs_proof:
            yield f"strength {who} was not to be proven, and must be"
        if row.outcome is Outcome.FAILED:
            yield f"failed {who}: {row.share:.1%} of {row.games} games"
        if row.outcome is Outcome.UNDECIDED and row.needs_proof:
            yield f"undecided {who}: {row.share:.1%} of {row.games} games"
        least = self.thresholds.share(row.opponent, players)
        if row.outcome is Outcome.PASSED and row.share <= least:
            yield f"contradiction {who}: passed with {row.share:.1%}, needed are more than {least:.1%}"


def _missing_rows(evidence: PromotionEvidence) -> Iterator[str]:
    met = [row.opponent for row in evidence.rows if row.opponent in PROVEN]
    needed = [Opponent.RANDOM, Opponent.HEURISTIC]
    if evidence.champion is not None:
        needed.append(Opponent.CHAMPION)
    for opponent in needed:
        if met.count(opponent) != 1:
            yield f"{met.count(opponent)} rows against {opponent.value}, one is needed"
    champions = [row.name for row in evidence.rows if row.opponent is Opponent.CHAMPION]
    if any(name != evidence.champion for name in champions):
        yield f"played against {_short(champions[0])} as champion, which is {_short(evidence.champion)}"


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
