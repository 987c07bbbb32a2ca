"""What ever happened to a configuration, counted: jobs, nets and reigns are forgotten at some point, counts are not.

Names are `training.STATUS` (succeeded, failed, cancelled, lost), `verdict.VERDICT` (passed, failed, undecided),
`promotion.HOW` (gate, manual) and `rollback.TRIGGER` (manual, auto_elo, auto_error).
"""

from managers.state.cluster_state import ClusterState, Transition, What
from managers.state.learners import Learner
from managers.state.tasks import GauntletOutcome


def counted(state: ClusterState, transitions: tuple[Transition, ...]) -> ClusterState:
    """The state with the transitions counted that led to it."""
    for transition in transitions:
        if transition.game is None:
            continue
        learner = state.learner(transition.game)
        name = _name_of(state, learner, transition)
        if name is not None:
            learners = {**state.learners, learner.game: _with_one_more(learner, name)}
            state = state.model_copy(update={"learners": learners})
    return state


def champions_of(learner: Learner) -> int:
    """How many champions there have been, those that were taken back included."""
    return learner.tally.get("promotion.gate", 0) + learner.tally.get("promotion.manual", 0)


def _name_of(state: ClusterState, learner: Learner, transition: Transition) -> str | None:
    """What a transition counts as; None: it is not counted."""
    if transition.what is What.CHAMPION_PROMOTED and learner.reign is not None:
        return f"promotion.{learner.reign.kind}"
    if transition.what is What.CHAMPION_ROLLED_BACK and learner.rollbacks:
        return f"rollback.{learner.rollbacks[-1].trigger}"
    job = state.jobs.finished.get(transition.job or "")  # a transition of an ended job is its end
    if job is None or not transition.what.startswith("job_"):
        return None
    if job.kind == "training":
        return f"training.{job.status}"
    return f"verdict.{job.outcome.verdict}" if isinstance(job.outcome, GauntletOutcome) else None


def _with_one_more(learner: Learner, name: str) -> Learner:
    return learner.model_copy(update={"tally": {**learner.tally, name: learner.tally.get(name, 0) + 1}})
