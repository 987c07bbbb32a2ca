"""Leaving a cluster, by hand, in the folder of a node that does not run: its next start comes into one anew.

What makes the node a member (log, id, contacts) goes; its name, key, nets and games stay. The log is set aside and
never removed: it may be the last one that has the state.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from managers.node_folder import NodeFolder
from p2p.adoption import FACT
from p2p.membership.kept import ADOPTED, CONTACTS
from p2p.membership.resting import FOLLOWS_FACT, NAME_FACT, facts_of, keep_facts, resting, set_aside
from ringrift_core.errors import RingriftError

FORGOTTEN = (FACT, FOLLOWS_FACT, ADOPTED, CONTACTS)


@dataclass(frozen=True, slots=True)
class Leavable:
    """A node that can leave its cluster; the folder is ours."""

    folder: NodeFolder
    node: str
    cluster_id: str
    logs: tuple[str, ...]  # what the folder holds of the state, in words

    def lines(self) -> list[str]:
        """What a person should know before."""
        held = " and ".join(self.logs)
        lines = [f"node {self.node} of the cluster {self.cluster_id or 'that it has not come into yet'}"]
        if held:
            lines.append(
                f"it holds {held}; that is set aside, and what no other node has of this cluster's state is lost to "
                "every cluster"
            )
        lines.append("it forgets its cluster; with --peers its next start comes into theirs, as a node that follows")
        return lines


@contextmanager
def leavable(root: Path) -> Iterator[Leavable]:
    """The node of a folder until the block ends; RingriftError where it runs, or is in no cluster."""
    with resting(root) as folder:
        facts = facts_of(folder)
        logs = []
        if folder.group.exists():
            logs.append("the log of a voter")
        if folder.log.exists() and any(path.is_file() and path.name != "lock" for path in folder.log.iterdir()):
            logs.append("the log of a cluster of one")
        if not logs and not any(facts.get(name) for name in FORGOTTEN):
            raise RingriftError(f"{root}: its node is in no cluster")
        yield Leavable(folder, str(facts.get(NAME_FACT) or ""), str(facts.get(FACT) or ""), tuple(logs))


def leave(found: Leavable, at: datetime) -> Path | None:
    """Forget the cluster; where the log is kept, None where there was none. Called again it finishes what it began."""
    log = found.folder.log
    kept = set_aside(log, "left", at) if log.exists() else None
    keep_facts(found.folder, dict.fromkeys(FORGOTTEN))
    return kept
