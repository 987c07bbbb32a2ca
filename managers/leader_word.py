"""What the leader tells every node with the answer to its heartbeat, so that all show the same.

Who is silent, who gets no jobs, how jobs go on: `/status` says it wherever it is asked. Without a leader a node goes on
with the latest word; seconds in it grow meanwhile, and the leader itself is silent when it has not answered for a whole
lease.
"""

from typing import Annotated

from pydantic import Field

from managers.job_progress import JobWord
from managers.line import LINE_MAX
from managers.state.cluster_state import ClusterState
from managers.state.members import LEADER
from managers.state.record import Name, Record

NODES_MAX = 256
JOBS_MAX = 100  # no status shows more
SILENT_S_MAX = 1e9
Silence = Annotated[float, Field(ge=0, le=SILENT_S_MAX)]


class LeaderWord(Record):
    """What the leader hears; of too many nodes or jobs the first."""

    silent_s: Annotated[dict[Name, Silence], Field(max_length=NODES_MAX)] = Field(default_factory=dict)
    unfit: Annotated[
        dict[Name, Annotated[str, Field(max_length=LINE_MAX)]], Field(max_length=NODES_MAX)
    ] = Field(default_factory=dict)  # fmt: skip
    jobs: Annotated[dict[Name, JobWord], Field(max_length=JOBS_MAX)] = Field(default_factory=dict)


class Hearsay:
    """The latest word of whoever leads; `at` is monotonic seconds."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._leader = ""
        self._at = 0.0  # of its latest answer, or when it became leader
        self._word, self._word_at = LeaderWord(), 0.0

    @property
    def word(self) -> LeaderWord:
        """As it came."""
        return self._word

    def heard(self, leader: str, word: LeaderWord | None, at: float) -> None:
        """The leader has answered; None: that it does not lead, so there is no word."""
        self._leader, self._at = leader, at
        if word is not None:
            self._word, self._word_at = word, at

    def silent_s(self, state: ClusterState, at: float) -> dict[str, float]:
        """Members that are not heard, and for how long."""
        office = state.roles.get(LEADER)
        leader = "" if office is None else office.node
        if leader != self._leader:
            self._leader, self._at = leader, at
        since_s = at - self._word_at
        found = {node: for_s + since_s for node, for_s in self._word.silent_s.items() if node in state.members}
        found.pop(leader, None)
        if leader in state.members and at - self._at > self._lease_s:
            found[leader] = at - self._at
        return found
