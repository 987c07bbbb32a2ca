"""Mesh: what a node does as one of several.

It lets others in, tells the leader how it is and hears that of others while it leads, is followed by nodes that do not
vote, and hands orders on to the leader. All of it is handlers and services; the node's shell runs them.
"""

import secrets
import ssl
import time
from datetime import UTC, datetime

from managers.gauntlet_parts import ahead_of
from managers.pipeline import Pipeline
from managers.ports import Report
from managers.runtime.service import Service
from managers.sightings import NodeReport, RunningJob, Seen, short
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Body
from managers.state.jobs import Job
from managers.state.machine import StateMachine
from managers.state.members import LEADER
from managers.versions import PRESENT
from p2p.consensus.following import FollowingConsensus
from p2p.consensus.raft_consensus import RaftConsensus
from p2p.consensus.seat import Seat
from p2p.consensus.watch import WatchFeed
from p2p.exchange.exchange import Exchange
from p2p.http.cluster_join_api import cluster_join_handlers
from p2p.http.cluster_voters_api import cluster_voters_handlers
from p2p.http.cluster_watch_api import VoterSide, cluster_watch_handlers
from p2p.http.forwarding import Forwarder, Leadership, Leading
from p2p.http.heartbeat_api import LeaderSide, heartbeat_handlers
from p2p.http.json_answer import Handlers
from p2p.http.node_calls import NodeCalls
from p2p.http.sync_api import sync_handlers
from p2p.identity.member_keys import votes
from p2p.membership.admission import Admission, Host
from p2p.membership.bootstrap import Contact
from p2p.membership.group_view import Chooser, GroupView
from p2p.membership.heartbeat import Clocks, Heartbeat, Measured

LIFE_BYTES = 8
JOBS_TOLD_MAX = 256


class Mesh:
    """One node's part in its cluster."""

    def __init__(
        self, pipeline: Pipeline, seat: Seat[ClusterState, Result], exchange: Exchange, calls: NodeCalls
    ) -> None:
        self._pipeline = pipeline
        self._seat = seat
        self._exchange = exchange
        node, lease_s = pipeline.identity.node, pipeline.settings.jobs.lease_seconds
        clocks = Clocks(wall, time.monotonic)
        self._heartbeat = Heartbeat(node, calls, seat, self._report, clocks, lease_s, pipeline.view.hearsay.heard)
        pipeline.report_listeners.append(self._reported)
        self._feed = WatchFeed(seat, StateMachine().dump)
        standing = pipeline.standing
        chooser = Chooser(lambda: pipeline.office.held, lambda: standing.voters_wait, lambda: standing.silent_s)
        self.group = GroupView(node, seat, calls, chooser, self._voter_contacts, time.monotonic)
        self._admission = Admission(
            Host(
                node=node,
                life=secrets.token_hex(LIFE_BYTES),
                state=lambda: seat.state,
                version=lambda: seat.version,
                propose=self._admit,
                admits=self._serves,
                wall=wall,
                monotonic=time.monotonic,
            )
        )

    @property
    def services(self) -> tuple[Service, ...]:
        """What runs as long as the node."""
        return (Service(name="HEARTBEAT", run=self._heartbeat.run), *self._exchange.services)

    @property
    def handlers(self) -> Handlers:
        """What other nodes ask."""
        pipeline, seat = self._pipeline, self._seat
        voter = VoterSide(seat, self._feed, self._serves, pipeline.clock, wall)
        leader = LeaderSide(
            state=lambda: seat.state,
            leads=lambda: pipeline.office.held,
            sightings=pipeline.sightings,
            renew=pipeline.heard,
            word=pipeline.view.word,
            wall=wall,
            monotonic=time.monotonic,
        )
        return {
            **self._exchange.handlers,
            **sync_handlers(self._exchange),
            **cluster_watch_handlers(voter),
            **cluster_join_handlers(self._admission),
            **cluster_voters_handlers(self.group),
            **heartbeat_handlers(leader),
        }

    def forwarder(self, tls: ssl.SSLContext | None = None) -> Forwarder:
        """What hands orders on to whoever leads."""
        pipeline, seat = self._pipeline, self._seat
        leadership = Leadership(lambda: pipeline.office.held, self._leader, lambda: seat.trouble, self._cut_off)
        return Forwarder(pipeline.identity.node, leadership, tls)

    def _cut_off(self) -> str:
        engine = self._seat.engine
        has_own_trouble = isinstance(engine, RaftConsensus) and engine.standing is None  # the others may be well
        return "" if has_own_trouble else self._seat.trouble

    def contacts(self) -> tuple[Contact, ...]:
        """Whom this node can ask when it has no state: the voters, else who leads."""
        return tuple(it for it in self._admission.card().contacts if it.node != self._pipeline.identity.node)

    def _voter_contacts(self) -> tuple[Contact, ...]:
        return self._admission.card().contacts

    def seen(self) -> Seen:
        """What this node knows of others."""
        return self._pipeline.view.seen(self._seat.state, time.monotonic())

    def voters(self) -> tuple[str, ...]:
        """Who agrees on the state now, as far as this node knows; who should stands in the state."""
        engine = self._seat.engine
        if isinstance(engine, RaftConsensus):
            return () if engine.standing is None else engine.standing.voters
        return self._seat.state.voters if isinstance(engine, FollowingConsensus) else ()

    def _leader(self) -> Leading | None:
        state = self._seat.state
        office = state.roles.get(LEADER)
        member = None if office is None else state.members.get(office.node)
        return None if member is None else Leading(member.node, member.addresses)

    def _serves(self) -> bool:
        """Whether the state of this node is that of a voter now."""
        follows = isinstance(self._seat.engine, FollowingConsensus)
        return not follows and votes(self._seat.state, self._pipeline.identity.node)

    async def _admit(self, body: Body) -> Result:
        return await self._pipeline.proposer("ADMISSION").propose_once(body)

    def _reported(self, _job: Job, report: Report) -> None:
        """A gauntlet goes on: who leads decides by what it will need."""
        if report.get("event") == "playing":
            self._heartbeat.wake()

    def _report(self, measured: Measured) -> NodeReport:
        pipeline = self._pipeline
        running = list(pipeline.jobs.running.values())[:JOBS_TOLD_MAX]
        words = pipeline.view.own_words()
        return NodeReport(
            session=pipeline.identity.session,
            versions=PRESENT,
            resources=short(pipeline.standing.resources),
            jobs=tuple(
                RunningJob(job=it.job.id, fence=it.job.fence, ahead=ahead_of(it.progress), word=words[it.job.id])
                for it in running
            ),
            manifest=self._exchange.root,
            champions=dict(pipeline.installer.verified),
            round_trip_s=measured.round_trip_s,
            clock_ahead_s=measured.clock_ahead_s,
        )


def wall() -> float:
    """Unix seconds of this machine, to compare with what other nodes have signed."""
    return datetime.now(UTC).timestamp()
