"""A node as `python -m p2p` with an easy gate, and with bugs where they are planted.

`python -m tests.e2e.cluster_node OPTIONS`. RINGRIFT_PLANTED names planted bugs: twice (nodes complete each job twice,
and the state takes a completion of what has ended), acting (whoever is elected acts without having taken office),
dropped (what a node had when it was lost is forgotten). RINGRIFT_PROMOTION_S are seconds by which each promotion
comes later: as if its gauntlet were read from a slow disk.
"""

import os
import sys
from collections.abc import Collection
from time import sleep
from typing import Any

from managers.launcher.local_launcher import LocalLauncher
from managers.office import Office
from managers.promotion_controller import PromotionController
from managers.proposer import Proposer
from managers.state import jobs as queue
from managers.state.cluster_state import Result
from managers.state.commands import Body, Complete
from managers.state.jobs import Job, Jobs
from managers.state.members import LEADER
from managers.state.record import Refused
from p2p.cli.node import main
from tests.e2e.easy_gate import ease

PLANTED = "RINGRIFT_PLANTED"
PROMOTION_S = "RINGRIFT_PROMOTION_S"
OWN_JOBS = {"command": (sys.executable, "-m", "tests.e2e.cluster_job")}


def plant(bugs: Collection[str]) -> None:
    """Let this process have bugs."""
    if "twice" in bugs:
        setattr(queue, "fenced", lax)  # noqa: B010 - mypy refuses to assign to a function
        setattr(Proposer, "propose", twice(Proposer.propose))  # noqa: B010
    if "acting" in bugs:
        setattr(Office, "epoch", property(acting))  # noqa: B010
    if "dropped" in bugs:
        setattr(queue, "lose", dropping)  # noqa: B010


def lax(jobs: Jobs, job: str, _fence: int) -> Job:
    """A job, whoever has it and whether it has ended or not."""
    known = jobs.get(job)
    if known is None:
        raise Refused(f"there is no job {job}")
    return known


def twice(propose: Any) -> Any:
    """A proposer that has each completion written twice."""

    async def proposed(self: Proposer, body: Body) -> Result:
        answer: Result = await propose(self, body)
        return await propose(self, body) if isinstance(body, Complete) else answer

    return proposed


def acting(office: Any) -> int | None:
    """Whoever leads the consensus decides, in whatever epoch there is."""
    role = office._consensus.state.roles.get(LEADER)
    return None if office._consensus.term_led is None or role is None else int(role.seq)


def dropping(jobs: Jobs, node: str, session: int, _reason: str, _now: float) -> tuple[Jobs, tuple[str, ...]]:
    """What a node had when it was lost is nobody's any more."""
    active = {name: it for name, it in jobs.active.items() if it.node != node or it.session >= session}
    return jobs.model_copy(update={"active": active}), ()


def slow(promotion_of: Any, seconds: float) -> Any:
    """A controller that takes so long for a promotion; it decides in a thread of its own."""

    def promotion(self: PromotionController, learner: Any, net: Any) -> Any:
        sleep(seconds)
        return promotion_of(self, learner, net)

    return promotion


if __name__ == "__main__":
    ease()
    delay_s = float(os.environ.get(PROMOTION_S, "0"))
    setattr(PromotionController, "promotion_of", slow(PromotionController.promotion_of, delay_s))  # noqa: B010
    defaults = LocalLauncher.__init__.__kwdefaults__ or {}
    plant(os.environ.get(PLANTED, "").split(","))
    setattr(LocalLauncher.__init__, "__kwdefaults__", {**defaults, **OWN_JOBS})  # noqa: B010
    main()
