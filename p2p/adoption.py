"""A node adopts at most one cluster id: it stands in the replicated state, is kept beside it, and both must agree.

A node that finds none, in the state or kept, founds a cluster of one. The id is kept before the node answers anybody.
"""

import logging

from managers.node_folder import NodeFolder
from managers.ports import Consensus
from managers.proposer import Proposer
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Found
from managers.state_manager import StateManager
from ringrift_core.errors import RingriftError, StorageError

FACT = "cluster_id"  # under which the id is kept

logger = logging.getLogger(__name__)


async def adopt(
    consensus: Consensus[ClusterState, Result],
    kept: StateManager,
    founder: Proposer,
    folder: NodeFolder,
    new_id: str,
) -> str:
    """The cluster id of the node of a folder: `new_id` (random) where there is none yet.

    StorageError, before anything is written, when the log and what is kept are of two clusters.
    """
    known, found = (await kept.load_state()).get(FACT), consensus.state.cluster_id
    if known is not None and known != found:
        log = f"is of the cluster {found}" if found else "knows no cluster"
        raise StorageError(
            f"{folder.root}: {folder.log.name}/ {log}, {folder.node_state.name} is of the cluster {str(known)[:64]}; "
            f"bring back from a copy what is the wrong one, or move {folder.node_state} away to go on with the log"
        )
    if not found:
        answer = await founder.propose(Found(cluster_id=new_id))
        if not answer.accepted:
            raise RingriftError(f"no cluster can be founded: {answer.reason}")
        found = consensus.state.cluster_id
        logger.info("founded the cluster %s", found)
    if known is None:
        await kept.save_state({FACT: found})
    return found
