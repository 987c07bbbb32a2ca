"""Heartbeat: nodes tell the leader how they are, four times per lease and at once when the leader changes.

heartbeat = Heartbeat(node, calls, consensus, report, clocks, lease_s)
Service(name="HEARTBEAT", run=heartbeat.run)
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import ValidationError

from managers.leader_word import LeaderWord
from managers.runtime.every import every
from managers.runtime.service import Beat
from managers.sightings import NodeReport
from managers.state.cluster_state import ClusterState, Result
from managers.state.members import LEADER
from managers.state.record import Count, Record
from managers.state.replica import JumpListener, Listener
from p2p.consensus.following import Calls
from p2p.http.node_calls import CallError, CallRefused

BEATS_PER_LEASE = 4
ANSWER_BYTES_MAX = 1 << 19  # with the word on the most nodes and jobs
LEAST_S = 0.2  # between two, however often the leader changes

logger = logging.getLogger(__name__)


class HeartbeatAnswer(Record):
    """What the leader says."""

    epoch: Count
    wall: float  # unix seconds, by the leader's machine
    known: bool  # whether the node is a member in that session
    word: LeaderWord = LeaderWord()


class Followed(Protocol):
    """The state as this node has it."""

    @property
    def state(self) -> ClusterState:
        """The latest one."""

    def on_applied(self, listener: Listener[ClusterState, Result]) -> None:
        """Call it after each record."""

    def on_jump(self, listener: JumpListener[ClusterState]) -> None:
        """Call it when a state takes the place of an earlier one."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds."""

    wall: Callable[[], float]  # unix, by this machine
    monotonic: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a heartbeat has shown of the way to the leader."""

    round_trip_s: float | None = None
    clock_ahead_s: float | None = None  # of this node's clock


class Heartbeat:
    """The reports of one node."""

    def __init__(
        self,
        node: str,
        calls: Calls,
        consensus: Followed,
        report: Callable[[Measured], NodeReport],
        clocks: Clocks,
        lease_s: float,
        heard: Callable[[str, LeaderWord | None, float], None] = lambda _leader, _word, _at: None,
    ) -> None:
        """`report` and `heard` are quick: called on the loop's thread. `heard` gets the leader's word, and when;
        None where it has answered without one.
        """
        self._node = node
        self._calls = calls
        self._consensus = consensus
        self._report = report
        self._clocks = clocks
        self._heard = heard
        self._interval_s = lease_s / BEATS_PER_LEASE
        self._measured = Measured()
        self._wake = asyncio.Event()
        self._answer: HeartbeatAnswer | None = None
        self.trouble = ""  # why the leader did not hear the latest one
        consensus.on_applied(self._applied)
        consensus.on_jump(self._jumped)

    @property
    def answer(self) -> HeartbeatAnswer | None:
        """What the leader said to the latest one that it heard; None before, and while this node leads."""
        return self._answer

    def wake(self) -> None:
        """Tell the leader soon: something has changed that it acts on."""
        self._wake.set()

    async def run(self, beat: Beat) -> None:
        """Until cancelled."""
        await every(
            self._interval_s,
            self.tell,
            timeout_s=2 * self._interval_s + 10.0,
            wake=self._wake,
            min_interval_s=min(LEAST_S, self._interval_s),
            beat=beat,
        )

    async def tell(self) -> None:
        """One heartbeat, if somebody else leads."""
        office = self._consensus.state.roles.get(LEADER)
        if office is None or office.node == self._node:
            self._answer, self.trouble = None, ""
            return
        body = self._report(self._measured).model_dump_json().encode()
        wall, began = self._clocks.wall(), self._clocks.monotonic()
        try:
            content = await self._calls.ask(
                office.node,
                "POST",
                "/cluster/heartbeat",
                body,
                timeout_s=self._interval_s,
                bytes_max=ANSWER_BYTES_MAX,
            )
            answer = HeartbeatAnswer.model_validate_json(content)
        except (CallError, ValidationError) as error:
            if isinstance(error, CallRefused):  # it is there all the same
                self._heard(office.node, None, self._clocks.monotonic())
            self._failed(str(error) if isinstance(error, CallError) else f"{office.node}: its answer is none")
            return
        round_trip_s = self._clocks.monotonic() - began
        self._measured = Measured(round_trip_s, wall + round_trip_s / 2 - answer.wall)
        self._answer, self.trouble = answer, ""
        self._heard(office.node, answer.word, self._clocks.monotonic())

    def _failed(self, why: str) -> None:
        if not self.trouble:
            logger.warning("the leader does not hear this node: %s", why)
        self.trouble = why

    def _jumped(self, _version: int, before: ClusterState, after: ClusterState) -> None:
        if before.epoch != after.epoch:
            self._wake.set()

    def _applied(self, before: ClusterState, after: ClusterState, _result: Result) -> None:
        if before.roles.get(LEADER) != after.roles.get(LEADER) and before.epoch != after.epoch:
            self._wake.set()
