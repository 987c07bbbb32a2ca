"""What came of the wish to promote a net, as a record for people and scripts; and what a gauntlet would be now."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from config.schema import Settings
from managers.state.apply import seed_of
from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job, JobStatus
from managers.state.learners import Learner
from managers.state.record import Count, Digest, Elo, Game, Record, Stem, Text
from managers.state.tasks import GateForm, GauntletOutcome, GauntletRow, GauntletTask, Rating, Share
from managers.training_coordinator import gate_form

ASKED_PRIORITY = 90  # of a gauntlet that a person waits for: before those of the loop
DIGEST_CHARS = 10  # of an anchor, where its role is no name


class Met(Record):
    """One opponent of the gauntlet."""

    opponent: Literal["random", "heuristic", "champion", "anchor"]
    sha256: Digest
    games: Count
    wins: Count
    share: Share
    low: Share  # 95 %
    high: Share
    outcome: Literal["passed", "failed", "undecided"]


class PromotionResult(Record):
    """Whether a net became champion, why, and what was played."""

    game: Game
    promoted: bool
    passed: bool = False  # it came through its gauntlet
    dry_run: bool = False
    how: Literal["gate", "manual"] = "gate"
    sha256: Digest | None = None
    replaces: Digest | None = None  # the champion that it met, or took the place of
    canonical_path: str | None = None  # where it is installed
    failure_reason: Text | None = None
    remark: Text = ""
    win_rates: dict[str, Share] = Field(default_factory=dict)  # by opponent
    met: tuple[Met, ...] = ()
    gauntlet: Stem | None = None  # the stored result
    elo: Elo | None = None
    elo_margin: Annotated[float, Field(ge=0, le=1e6)] | None = None  # 95 %

    @property
    def succeeded(self) -> bool:
        """What the exit code says: it is champion, or would be."""
        return self.promoted or (self.dry_run and self.passed)


def played(outcome: GauntletOutcome, candidate: str) -> dict[str, object]:
    """The part of a result that a gauntlet tells."""
    rating = rating_of(outcome.ratings, candidate)
    return {
        "passed": outcome.verdict == "passed",
        "gauntlet": outcome.result,
        "met": tuple(Met.model_validate(row.model_dump(exclude={"blocks"})) for row in outcome.rows),
        "win_rates": win_rates(outcome.rows),
        "elo": None if rating is None else rating.elo,
        "elo_margin": None if rating is None else rating.margin,
    }


def win_rates(rows: Iterable[GauntletRow]) -> dict[str, float]:
    """The share of games won, by opponent; anchors by their digests."""
    return {
        f"anchor {row.sha256[:DIGEST_CHARS]}" if row.opponent == "anchor" else row.opponent: row.share for row in rows
    }


def rating_of(ratings: Iterable[Rating], sha256: str) -> Rating | None:
    """A net's rating with the most simulations, which is how it is judged."""
    return max((it for it in ratings if it.sha256 == sha256), key=lambda it: it.sims or 0, default=None)


def last_evaluation(state: ClusterState) -> PromotionResult | None:
    """The latest gauntlet that came to an end, and what became of its candidate."""
    ended = (
        job
        for job in reversed(state.jobs.finished.values())
        if job.kind == "gauntlet" and job.status is JobStatus.SUCCEEDED
    )
    job = next(ended, None)
    return None if job is None else evaluation_of(state, job)


def evaluation_of(state: ClusterState, job: Job) -> PromotionResult:
    """A gauntlet that came to an end, as a result; installing is another matter."""
    assert isinstance(job.task, GauntletTask), "gauntlets are evaluations"
    assert isinstance(job.outcome, GauntletOutcome), "it has ended well"
    promoted = any(
        reign.sha256 == job.task.candidate and reign.replaced == job.task.champion
        for reign in state.learner(job.game).reigns
    )
    result = PromotionResult(
        game=job.game,
        promoted=promoted,
        sha256=job.task.candidate,
        replaces=job.task.champion,
        failure_reason=None if promoted else job.outcome.reason,
    )
    return result.model_copy(update=played(job.outcome, job.task.candidate))


class GatePlan(Record):
    """What the gauntlet of a net that nobody knows yet would be now."""

    game: Game
    champion: Digest | None
    anchors: tuple[Digest, ...]
    candidate_number: Annotated[int, Field(ge=1)]
    form: GateForm

    def job(self, candidate: str, seed: int) -> Job:
        """A job that plays it, outside the state."""
        task = GauntletTask(candidate=candidate, seed=seed_of(f"{seed}/dry run/{candidate}", 0), **dict(self))
        return Job(
            id=f"dry-run-{self.game}-{candidate[:16]}", task=task, priority=0, cores=1, attempts_max=1, queued_at=0
        )


def gate_plan(learner: Learner, settings: Settings, games: int | None) -> GatePlan:
    """The gauntlet that `Judge` would queue."""
    form = asked_form(settings, games)
    return GatePlan(
        game=learner.game,
        champion=learner.champion,
        anchors=learner.anchors(form.anchors_max),
        candidate_number=learner.judged + 1,
        form=form,
    )


def asked_form(settings: Settings, games: int | None) -> GateForm:
    """How a net is judged that a person brings; `games` are the least per opponent, None: those of the settings."""
    form = gate_form(settings)
    most = form.games_max if games is None or form.games_max is None else max(form.games_max, games)
    changes = {"games": form.games if games is None else games, "games_max": most}
    return form.model_copy(update={**changes, "asked": True, "priority": ASKED_PRIORITY})
