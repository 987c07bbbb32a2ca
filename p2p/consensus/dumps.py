"""Dumps as pysyncobj asks for them: made by somebody else, sent and received in pieces. Nothing here touches a disk.

It takes the place of pysyncobj's Serializer and has its names. A dump is there from the moment in which
`checkSerializing` says so, and with it, in the same tick, the log that begins behind it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from pysyncobj.config import SERIALIZER_STATE
from pysyncobj.node import Node

from p2p.consensus.base import DUMP_BYTES_MAX, Base, decode_base
from p2p.consensus.codec import Entry
from p2p.consensus.store import RaftStore
from ringrift_core.errors import RulesError

PART_BYTES = 512 << 10
RECEIVED_BYTES_MAX = DUMP_BYTES_MAX + (16 << 20)  # a base: the dump and two entries

Part = tuple[bytes, int, bool]  # content, offset, whether it is the last; pysyncobj looks at the third


@dataclass(frozen=True, slots=True)
class Wanted:
    """The dump that was asked for."""

    version: int
    before: Entry
    last: Entry


class Dumps:
    """The dumps of one voter."""

    def __init__(self, store: RaftStore, version: Callable[[], int], wanted: Callable[[int], None]) -> None:
        """`version` is that of the state now; `wanted` is told of which one a dump is to be made."""
        self._store = store
        self._version = version
        self._tell = wanted
        self._wanted: Wanted | None = None
        self._content: bytes | None = None  # of the wanted dump
        self._sent: dict[str, int] = {}  # bytes, by peer
        self._encoded: bytes | None = None  # the base, while it is being sent
        self._received: bytearray | None = None
        self.installed = False  # a base came from a leader; whoever sees it says False

    @property
    def busy(self) -> bool:
        """Whether a dump is being made."""
        return self._wanted is not None

    @property
    def wanted(self) -> int | None:
        """The version of which a dump is awaited."""
        return None if self._wanted is None or self._content is not None else self._wanted.version

    def dumped(self, version: int, content: bytes) -> None:
        """The dump of a version; ignored when it is not the one that is awaited."""
        if len(content) > DUMP_BYTES_MAX:
            raise RulesError(f"a dump of {len(content)} bytes; {DUMP_BYTES_MAX} are the most")
        if version == self.wanted:
            self._content = content

    def forget_peer(self, peer: str) -> None:
        """Begin anew with a peer: what was on its way is lost."""
        self._sent.pop(peer, None)
        if not self._sent:
            self._encoded = None

    def checkSerializing(self) -> tuple[int, int | None]:  # noqa: N802
        """Whether a dump is being made; once, that it is there."""
        if self._wanted is None:
            return SERIALIZER_STATE.NOT_SERIALIZING, None
        wanted, content = self._wanted, self._content
        if content is None:
            return SERIALIZER_STATE.SERIALIZING, wanted.before[1]
        voters = self._store.voters_at(wanted.last[1])
        self._take(Base(wanted.version, content, wanted.before, wanted.last, voters))
        return SERIALIZER_STATE.SUCCESS, wanted.before[1]

    def serialize(self, data: tuple[object, Entry, Entry, Collection[Node]], _id: int) -> None:
        """Ask for a dump of the state as it is now.

        The members that pysyncobj hands over are those of the newest entry, which may never be committed: the store
        knows who votes after the last one that was applied.
        """
        _, last, before, _ = data
        self._wanted = Wanted(self._version(), before, last)
        self._tell(self._wanted.version)

    def deserialize(self) -> tuple[None, Entry, Entry, list[Node]]:
        """What pysyncobj has to know of the base."""
        base = self._store.base
        assert base is not None
        return None, base.last, base.before, [Node(voter) for voter in base.voters]

    def getTransmissionData(self, node: Node) -> Part:  # noqa: N802
        """The next piece of the base for a peer. There always is one: without, pysyncobj would ask again at once."""
        if self._encoded is None:
            assert self._store.base is not None
            self._encoded = self._store.base.encode()
        start = self._sent.get(node.id, 0)
        part = self._encoded[start : start + PART_BYTES]
        last = start + PART_BYTES >= len(self._encoded)
        self._sent[node.id] = start + len(part)
        if last:
            self.forget_peer(node.id)
        return part, start, last

    def setTransmissionData(self, part: Part) -> bool:  # noqa: N802
        """A piece of a leader's base; True when it was the last of one that leads on from here.

        A base that says nothing new is dropped: the entries behind it may have been acknowledged to the leader, who
        counts them, and the ones before it were applied.
        """
        content, offset, last = part
        if offset == 0:
            self._received = bytearray()
        if self._received is None or offset != len(self._received) or offset + len(content) > RECEIVED_BYTES_MAX:
            self._received = None
            return False
        self._received += content
        if not last:
            return False
        base, self._received = decode_base(bytes(self._received)), None
        if self._known(base):
            return False
        if self._store.blank:
            self._store.set_mute(mute=True)
        self._take(base)
        self.installed = True
        return True

    def cancelTransmisstion(self, node: Node) -> None:  # noqa: N802 - pysyncobj's spelling
        """Begin anew with a peer."""
        self.forget_peer(node.id)

    def _known(self, base: Base) -> bool:
        """Whether the log here contains all that a base stands for."""
        index = base.last[1]
        if index <= self._store.getRaftCommitIndex():
            return True
        first = self._store[0][1]
        return first <= index < first + len(self._store) and self._store[index - first] == base.last

    def _take(self, base: Base) -> None:
        self._store.replace_base(base)
        self._wanted = self._content = self._encoded = None
        self._sent.clear()
