"""ClusterView: what this node knows of the others and their jobs: by its own ears while it leads, else by the leader's.

What it says is for people and for the exchange of files; nothing is assigned or taken away by it.
"""

import math
from collections.abc import Callable, Mapping
from itertools import islice

from managers.job_manager import JobManager, NodeIdentity
from managers.job_progress import JobWord, word_of
from managers.job_reaper import JobReaper
from managers.leader_word import JOBS_MAX, NODES_MAX, SILENT_S_MAX, Hearsay, LeaderWord
from managers.line import one_line
from managers.sightings import Seen, Sightings
from managers.state.cluster_state import ClusterState

FRESH_S = 1.0  # all nodes that ask meanwhile are told the same


class ClusterView:
    """Times are monotonic seconds."""

    def __init__(
        self,
        own: NodeIdentity,
        jobs: JobManager,
        sightings: Sightings,
        reaper: JobReaper,
        leads: Callable[[], bool],
        lease_s: float,
        hang_s: float,
    ) -> None:
        self._own = own
        self._jobs = jobs
        self._sightings = sightings
        self._reaper = reaper
        self._leads = leads
        self._lease_s = lease_s
        self._hang_s = hang_s
        self.hearsay = Hearsay(lease_s)
        self._told, self._told_at = LeaderWord(), -math.inf

    def silent_s(self, state: ClusterState, at: float) -> dict[str, float]:
        """Other nodes that were not heard for a whole lease, and for how long."""
        if self._leads():
            found = self._reaper.silent_s(state, at, self._lease_s)
            found.pop(self._own.node, None)
            self.hearsay.heard(self._own.node, LeaderWord(silent_s=bounded(found)), at)  # for when it leads no more
            return found
        found = self.hearsay.silent_s(state, at)
        found.pop(self._own.node, None)
        return found

    def silent(self, state: ClusterState, at: float) -> dict[str, str]:
        """The same in words."""
        return {node: f"silent for {for_s:.0f} s" for node, for_s in self.silent_s(state, at).items()}

    def seen(self, state: ClusterState, at: float) -> Seen:
        """All that is known of other nodes."""
        if self._leads():
            heard = self._sightings.seen(state, at)
            return Seen(heard.sightings, heard.unfit, at, self.silent_s(state, at))
        return Seen(unfit=self.hearsay.word.unfit, at=at, silent_s=self.silent_s(state, at))

    def own_words(self) -> dict[str, JobWord]:
        """How the jobs of this node go on."""
        usage = self._jobs.usage()
        return {
            name: word_of(it.job.kind, it.progress, usage[name].silent_s if name in usage else None, self._hang_s)
            for name, it in self._jobs.running.items()
        }

    def words(self, state: ClusterState) -> Mapping[str, JobWord]:
        """How jobs go on, here and elsewhere, as last heard."""
        own, others = self.own_words(), self._sightings.words(state) if self._leads() else self.hearsay.word.jobs
        return own | {job: word for job, word in others.items() if job not in own}

    def word(self, state: ClusterState, at: float) -> LeaderWord:
        """What to tell the others, as their leader; at most FRESH_S old."""
        if not self._told_at <= at < self._told_at + FRESH_S:
            self._told, self._told_at = self._made(state, at), at
        return self._told

    def _made(self, state: ClusterState, at: float) -> LeaderWord:
        silent = self.silent_s(state, at)
        unfit = self._sightings.unfit(state)
        return LeaderWord(
            silent_s=bounded(silent),
            unfit={node: one_line(why) for node, why in islice(unfit.items(), NODES_MAX)},
            jobs=dict(islice(self.words(state).items(), JOBS_MAX)),
        )


def bounded(silent_s: Mapping[str, float]) -> dict[str, float]:
    """As much as a word has room for."""
    return {node: min(for_s, SILENT_S_MAX) for node, for_s in islice(silent_s.items(), NODES_MAX)}
