"""Recovery of a lost quorum, by hand: one voter that is at rest goes on alone with the state that its log leads to.

It goes on as a *new* cluster. The old voters, should they come back, have the old id: they are refused by this one and
refuse it, so one id never has two leaders. Everything in the log counts, agreed on or not: what was acknowledged and
reached this voter is in it. The seq leaps, so that no fence, epoch or job of the lost end is ever given again.

    group.recovered is written -> group is set aside -> the facts -> group.recovered becomes group

Whatever ends the process in between, calling it again finishes it, and the node does not begin before that.
"""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from managers.node_folder import NodeFolder
from managers.state.cluster_state import ClusterState
from managers.state.log_files import DiskFiles
from managers.state.machine import StateMachine
from p2p.adoption import FACT
from p2p.consensus.codec import bodies_of
from p2p.consensus.requests import TAG_BYTES
from p2p.consensus.store import RaftStore
from p2p.membership.kept import ADOPTED, CONTACTS
from p2p.membership.resting import FOLLOWS_FACT, NAME_FACT, facts_of, keep_facts, resting, set_aside
from ringrift_core.errors import RingriftError
from ringrift_core.storage import sync_folder

SEQ_LEAP = 1_000_000  # more commands than the others can have agreed on since they were heard
ID_BYTES = 16
NAMED_MAX = 50  # members that are named
DIGEST_CHARS = 10
RECOVERED = "group.recovered"
LOST = "lost"  # in the name under which the old group is kept


@dataclass(frozen=True, slots=True)
class Recoverable:
    """What a voter at rest has; the folder is ours."""

    folder: NodeFolder
    node: str
    state: ClusterState
    version: int
    voters: tuple[str, ...]  # by its log
    uncertain: int  # commands at the end that were not known to be agreed on
    mute: bool  # it began with an empty disk and has not had all of a leader's log
    interrupted: bool  # an earlier recovery has written everything but not finished

    def lines(self) -> list[str]:
        """What a person should know before."""
        state = self.state
        at = datetime.fromtimestamp(state.now, UTC)
        champions = [
            f"{game} {it.champion[:DIGEST_CHARS]}" for game, it in sorted(state.learners.items()) if it.champion
        ]
        members = [*sorted(state.members)]
        more = f" and {len(members) - NAMED_MAX} more" if len(members) > NAMED_MAX else ""
        lines = [
            f"node {self.node} of the cluster {state.cluster_id}; voters by its log: {', '.join(self.voters)}",
            f"version {self.version}, seq {state.seq}, epoch {state.epoch}, last command at {at:%Y-%m-%d %H:%M:%S} UTC",
            f"champions: {', '.join(champions) or 'none yet'}",
            f"members: {', '.join(members[:NAMED_MAX])}{more}",
        ]
        if self.interrupted:
            return [*lines, "a recovery was begun here and is finished now"]
        if self.uncertain:
            lines.append(f"{self.uncertain} commands at the end were not known to be agreed on; they count from now on")
        if self.mute:
            lines.append(
                "this voter began with an empty disk and has not had the whole log: rather recover another one"
            )
        lines += [
            "what the others agreed on without this voter is lost; of several voters that are left recover the one "
            "with the highest version",
            "this node goes on alone as a new cluster; its old log is kept",
        ]
        return lines


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of it."""

    cluster_id: str
    kept: Path  # the old log


@contextmanager
def recoverable(root: Path) -> Iterator[Recoverable]:
    """The voter of a folder until the block ends, read without writing to its log.

    RingriftError where its node runs, is no voter, or never heard of its group; StorageError where the log is damaged.
    """
    with resting(root) as folder:
        fresh = folder.log / RECOVERED
        interrupted = fresh.exists() and not folder.group.exists()
        if not folder.group.exists() and not interrupted:
            raise RingriftError(
                f"{root}: its node is no voter and has no state of its own to go on with: recover a voter "
                "(ringrift-p2p voters list names them), or let this node leave: ringrift-p2p voters leave"
            )
        store = RaftStore(DiskFiles(fresh if interrupted else folder.group))
        store.read()
        if store.base is None:
            raise RingriftError(f"{root}: this voter was let in and has never had the state; recover another one")
        state, version, uncertain = state_of(store)
        node = str(facts_of(folder).get(NAME_FACT) or "")
        yield Recoverable(folder, node, state, version, store.voters or (), uncertain, store.mute, interrupted)


def state_of(store: RaftStore) -> tuple[ClusterState, int, int]:
    """State and version that a store leads to, and how many of the commands were not known to be agreed on."""
    machine, base = StateMachine(), store.base
    assert base is not None
    state, version, uncertain = machine.load(base.dump), base.version, 0
    for command, index, _term in store[2:]:  # the first two are in the dump
        for body in bodies_of(command):
            state, _ = machine.apply(state, body[TAG_BYTES:])
            version += 1
            uncertain += index > store.getRaftCommitIndex()
    return state, version, uncertain


def recover(found: Recoverable, at: datetime) -> Recovered:
    """Make the folder that of a new cluster of this node alone; StorageError where the disk refuses."""
    folder, fresh = found.folder, found.folder.log / RECOVERED
    if found.interrupted:
        cluster_id = str(found.state.cluster_id)
        kept = max(folder.log.glob(f"{folder.group.name}.{LOST}-*"), default=folder.log)
    else:
        cluster_id = secrets.token_hex(ID_BYTES)
        shutil.rmtree(fresh, ignore_errors=True)
        _found(fresh, found, cluster_id)
        kept = set_aside(folder.group, LOST, at)
    keep_facts(folder, {FACT: cluster_id, FOLLOWS_FACT: None, ADOPTED: None, CONTACTS: None})
    fresh.rename(folder.group)
    sync_folder(folder.log)
    return Recovered(cluster_id, kept)


def _found(place: Path, found: Recoverable, cluster_id: str) -> None:
    """Begin a group of this node alone, durably."""
    new = {"cluster_id": cluster_id, "voters": (found.node,), "roles": {}, "seq": found.state.seq + SEQ_LEAP}
    store = RaftStore(DiskFiles(place))
    store.open()
    try:
        store.found(found.version, StateMachine().dump(found.state.model_copy(update=new)), (found.node,))
    finally:
        store.close()
    sync_folder(place.parent)
