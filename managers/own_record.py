"""What a node says of itself when it joins, beside what its machine has."""

from dataclasses import asdict, dataclass

from config.schema import Settings
from managers.resource_watch import ResourceWatch
from managers.state.commands import Join
from ringrift_core.cores import usable_cores


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """The fields of a member record that the node's settings and files decide (managers/state/members.py)."""

    session: int  # greater than that of any earlier life of the node
    public_key: str = ""
    addresses: tuple[str, ...] = ()
    raft_address: str = ""
    spot: bool = False
    protocol: int = 0
    rules: str = ""


def join_of(settings: Settings, resources: ResourceWatch, own: OwnRecord) -> Join:
    """The record of a life; looks at the machine, so not for the event loop's thread."""
    node, found = settings.node, resources.look()
    cores = (node.cores or usable_cores()) if node.computes else 0
    return Join(
        node=node.node_id,
        cores=cores,
        gpus=found.gpus.usable if cores else 0,
        memory_bytes=found.memory_bytes,
        **asdict(own),
    )
