"""What a node that does not vote may have brought into the log: one table. Pure.

A node speaks about itself alone, under client names that begin with its own, about jobs that it was given, and never
decides for the cluster. A voter that proposes through another one has no more rights here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from managers.state import commands as asked
from managers.state.cluster_state import ClusterState
from managers.state.commands import Command
from p2p.identity.refusal import Refusal

APART_MAX_S = 60.0  # of a command's time from the voter's clock: the state's time never falls again

Right = Callable[[Any, str, ClusterState], bool]


def _about_itself(
    body: asked.Join | asked.Leave | asked.CountData | asked.YieldRole, node: str, _: ClusterState
) -> bool:
    return body.node == node


def _about_its_job(
    body: asked.Start | asked.Complete | asked.Fail | asked.Release | asked.Qualify, node: str, state: ClusterState
) -> bool:
    job = state.jobs.get(body.job)
    return job is not None and job.node == node


RIGHTS: Mapping[type, Right] = {
    asked.Join: _about_itself,
    asked.Leave: _about_itself,
    asked.CountData: _about_itself,
    asked.YieldRole: _about_itself,
    asked.Start: _about_its_job,
    asked.Complete: _about_its_job,
    asked.Fail: _about_its_job,
    asked.Release: _about_its_job,
    asked.Qualify: _about_its_job,
}


def refusal_of(command: Command, node: str, state: ClusterState, *, clock: float, wall: float) -> Refusal | None:
    """Why a node may not have a command brought into the log; None when it may.

    `clock` is the time that the voter itself would give a command, `wall` what its machine says: unix seconds.
    """
    kind = command.body.kind
    if not command.client.startswith(f"{node}/"):
        return _not_allowed(f"{node} may not speak as {command.client[:100]}")
    known = state.answered.get(command.client)
    if known is not None and command.sequence <= known.sequence:
        return None  # it changes nothing; its answer was lost
    if command.epoch is not None:
        return _not_allowed(f"{kind} in an epoch: only who leads decides")
    right = RIGHTS.get(type(command.body))
    if right is None:
        return _not_allowed(f"{node} may not {kind}")
    if not right(command.body, node, state):
        return _not_allowed(f"{kind} is about another node, or a job that {node} has not been given")
    apart_s = command.at - clock
    if abs(apart_s) > APART_MAX_S:
        text = f"the clock of {node} is {apart_s:+.0f} s off; set it, or that of the voters"
        return Refusal("clock_off", 409, text, {"server_time": wall})
    return None


def _not_allowed(message: str) -> Refusal:
    return Refusal("not_allowed", 403, message)
