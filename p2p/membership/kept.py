"""What a node keeps of coming in, beside the replicated state: the id it adopted, whom it can ask, its last session."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from managers.node_folder import NodeFolder
from managers.node_store import Json
from managers.state.record import Count
from p2p.membership.bootstrap import CONTACTS_MAX, Adoption, Contact
from ringrift_core.errors import RingriftError, StorageError

ADOPTED = "adopted"  # facts of the StateManager
CONTACTS = "contacts"
SESSION = "session"

_CONTACTS = TypeAdapter(tuple[Contact, ...])
_SESSION = TypeAdapter(Count)


class Facts(Protocol):
    """The facts of a node (managers/state_manager.py)."""

    async def load_state(self) -> dict[str, Json]:
        """All of them."""

    async def save_state(self, facts: Mapping[str, Json]) -> None:
        """Keep some; None forgets one."""


async def kept_adoption(facts: Facts) -> Adoption | None:
    """The id that this node has adopted; StorageError when what is kept is none."""
    found = (await facts.load_state()).get(ADOPTED)
    try:
        return None if found is None else Adoption.model_validate(found)
    except ValidationError:
        raise StorageError(
            f"the fact {ADOPTED} holds no adopted cluster id: bring the node's file back from a copy"
        ) from None


async def keep_adoption(facts: Facts, adoption: Adoption) -> None:
    """On the disk when this returns."""
    await facts.save_state({ADOPTED: adoption.model_dump(mode="json")})


async def kept_contacts(facts: Facts) -> tuple[Contact, ...]:
    """Whom this node could ask in its last life; none where nothing sound is kept."""
    try:
        return _CONTACTS.validate_python((await facts.load_state()).get(CONTACTS) or ())
    except ValidationError:
        return ()


async def kept_session(facts: Facts) -> int:
    """The session of the last life that was admitted; 0 before the first."""
    try:
        return _SESSION.validate_python((await facts.load_state()).get(SESSION) or 0)
    except ValidationError:
        return 0


async def keep_contacts(facts: Facts, contacts: Iterable[Contact], session: int | None = None) -> None:
    """Keep whom to ask in the next life, the best first; for whoever follows, whenever the voters change."""
    kept: dict[str, Json] = {CONTACTS: [it.model_dump(mode="json") for it in tuple(contacts)[:CONTACTS_MAX]]}
    await facts.save_state(kept if session is None else {**kept, SESSION: session})


async def forget_id(facts: Facts, folder: NodeFolder, *, has_log: bool) -> Adoption | None:
    """Forget the adopted id of a node that never came in; what it was. RingriftError where the node has a log."""
    if has_log:
        raise RingriftError(
            f"{folder.log} holds the log of a cluster that has begun: its id stays; to leave it for good: "
            f"ringrift-p2p voters leave --data-dir {folder.root}"
        )
    found = await kept_adoption(facts)
    if found is not None:
        await facts.save_state({ADOPTED: None, CONTACTS: None})
    return found
