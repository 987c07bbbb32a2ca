"""One life of a node's loop with tiny settings, which says what it has acknowledged.

`python -m tests.e2e.loop_process FOLDER [MODE..]`: one JSON line per accepted command, after it is durable and applied,
and per report of a job. Standard input takes `halt`, `resume` and `crown` (the newest net becomes champion by hand),
one a line; its end ends the life in good order. Modes are busy (two cores for jobs), ungated (candidates become
champions without a gauntlet) and the planted bugs early (a command is acknowledged and applied one write before it is
durable) and unswept (what earlier lives have left is not ended).
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from config.loading import load
from config.schema import Settings
from config.yaml_file import Plain
from managers import feedback_loop_controller, training_coordinator
from managers.launcher import LocalLauncher
from managers.pipeline import Pipeline
from managers.ports import Leftover, Report
from managers.state.cluster_state import ClusterState, Result, Transition, What
from managers.state.commands import Body, HaltAll, Promote, ResumeAll
from managers.state.durable_log import DurableLog
from managers.state.jobs import Job
from managers.state.tasks import GateForm
from managers.training_coordinator import gate_form
from p2p.orchestrator import running_node

GAME = "hex8_2p"
NODE = "killed"
Fact = dict[str, Any]
TINY: Mapping[str, Plain] = {
    "node.node_id": NODE,
    "node.cores": 1,
    "node.disk_floor_gb": 0,
    "selfplay.bootstrap_games": 64,
    "selfplay.bootstrap_sims": 2,
    "selfplay.sims": 2,
    "training.trigger_threshold_games": 32,
    "training.bootstrap_steps": 30,
    "training.steps": 20,
    "training.batch_size": 16,
    "training.save_every": 5,
    "training.passes": 1000,
    "training.max_age_hours": 0,
    "training.precision": "fp32",
    "evaluation.games": 2,
    "evaluation.games_max": 4,
    "evaluation.anchors_max": 1,
    "evaluation.shadow_interval_seconds": 10,
    "evaluation.shadow_games_per_config": 2,
    "evaluation.proving_games": 2,
    "jobs.backoff_seconds": 0.2,
    "jobs.stop_seconds": 5,
    "log.snapshot_records": 100,
}


def tiny(folder: Path, overrides: Mapping[str, Plain] | None = None) -> Settings:
    """Settings with which each kind of job takes seconds."""
    asked = {**TINY, **(overrides or {}), "node.data_dir": str(folder)}
    return load(profile="local", overrides=asked, environment={}).settings


def short_gate(settings: Settings) -> GateForm:
    """The gate, but for its 64 games of qualification."""
    return gate_form(settings).model_copy(update={"qualify_games": 2})


def say(fact: Fact) -> None:
    """One line, at once: what was said before a kill -9 can be read after it."""
    os.write(1, (json.dumps(fact) + "\n").encode())


def fact_of(transition: Transition, state: ClusterState) -> Fact:
    """A transition and the part of the state that it made."""
    fact = transition.model_dump(mode="json", exclude_none=True)
    if transition.job is not None and (job := state.jobs.get(transition.job)) is not None:
        outcome = None if job.outcome is None else job.outcome.model_dump(mode="json")
        fact |= {"status": job.status.value, "fence": job.fence, "kind": job.kind, "outcome": outcome}
    learner = state.learner(transition.game or GAME)
    if transition.what is What.CANDIDATE_ADDED:
        fact["sha256"] = list(learner.nets)[-1]
    elif transition.what in {What.CHAMPION_PROMOTED, What.CHAMPION_ROLLED_BACK}:
        fact["reign"] = learner.reigns[-1].model_dump(mode="json")
    elif transition.what is What.DATA_COUNTED:
        fact["count"] = learner.data[NODE].model_dump(mode="json")
    return fact


def applied(_before: ClusterState, after: ClusterState, result: Result) -> None:
    """A listener of the consensus: the command is durable and in the state."""
    if result.accepted:
        facts = [fact_of(it, after) for it in result.transitions]
        say({"seq": result.seq, "facts": facts})


def reported(job: Job, report: Report) -> None:
    """A listener of the jobs."""
    say({"report": report["event"], "job": job.id, "kind": job.kind, "name": report.get("name")})


async def live(settings: Settings) -> None:
    """One life, until standard input ends."""
    async with running_node(settings) as pipeline:
        pipeline.report_listeners.append(reported)
        pipeline.consensus.on_applied(applied)
        say({"up": pipeline.identity.session, "seq": pipeline.consensus.state.seq})
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while order := (await orders.readline()).strip().decode():
            if (body := body_of(order, pipeline)) is not None:
                answer = await pipeline.proposer("killer").propose(body)
                say({"answer": order, "accepted": answer.accepted, "reason": answer.reason})
    say({"down": True})


def body_of(order: str, pipeline: Pipeline) -> Body | None:
    """What a person asks of the state."""
    if order == "halt":
        return HaltAll(by="killer", reason="on request")
    if order == "resume":
        return ResumeAll(by="killer")
    learner = pipeline.consensus.state.learner(GAME)
    others = [it for it in learner.nets if it not in {learner.champion, *learner.blocked}]
    if not others:
        return None
    return Promote(game=GAME, candidate=others[-1], expected=learner.champion, how="manual", reason="crowned")


# ---- planted bugs ----


def plant(bugs: Collection[str]) -> None:
    """Let this process have bugs."""
    if "early" in bugs:
        setattr(DurableLog, "append", late(DurableLog.append))  # noqa: B010 - mypy refuses to assign to a method
    if "unswept" in bugs:
        setattr(LocalLauncher, "sweep", unswept)  # noqa: B010


def late(append: Any) -> Any:
    """A log whose writes wait for the next one."""
    waiting: list[bytes] = []

    def later(self: DurableLog, bodies: Sequence[bytes]) -> int:
        ready = waiting.copy()
        waiting[:] = bodies
        return int(append(self, ready)) if ready else self.last

    return later


async def unswept(_self: LocalLauncher) -> list[Leftover]:
    """A sweep that ends nothing."""
    return []


def main(folder: Path, *modes: str) -> None:
    """One life in this process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(message)s")
    plant(modes)
    for module in (training_coordinator, feedback_loop_controller):
        setattr(module, "gate_form", short_gate)  # noqa: B010
    changes: dict[str, Plain] = {"promotion.skip_gauntlet": "ungated" in modes, "node.cores": 1 + ("busy" in modes)}
    asyncio.run(live(tiny(folder, changes)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
