"""What a voter starts from: a dump and the place in the log up to which it speaks for the entries."""

from dataclasses import dataclass
from hashlib import blake2b

from p2p.consensus.codec import NO_OP, Entry, entry, integer, listed, node_ids, octets, pack, unpack

DUMP_BYTES_MAX = 128 << 20  # half of what a snapshot of the log takes; entries need the rest
DIGEST_BYTES = 16
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Base:
    """A dump of the state after an entry."""

    version: int  # bodies that led to it
    dump: bytes
    before: Entry  # the last but one entry that is in the dump; pysyncobj keeps two
    last: Entry
    voters: tuple[str, ...]  # after `last`, sorted

    @classmethod
    def founding(cls, version: int, dump: bytes, voters: tuple[str, ...]) -> "Base":
        """The base of a new group.

        A node that joins has one entry, index 1. The base begins behind it, so that the leader, whose log does not
        reach back to it, sends the dump.
        """
        return cls(version, dump, (NO_OP, 2, 0), (NO_OP, 3, 0), voters)

    def as_values(self) -> list[object]:
        """Plain values, for msgpack."""
        return [FORMAT, self.version, self.dump, self.before, self.last, self.voters]

    def encode(self) -> bytes:
        """What one voter sends another one."""
        content = pack(self.as_values())
        return blake2b(content, digest_size=DIGEST_BYTES).digest() + content


def base_of(values: object) -> Base:
    """The base of plain values; ValueError when they are none."""
    form, version, dump, before, last, voters = listed(values, 6)
    if form != FORMAT:
        raise ValueError("a base of another format")
    first, second = entry(before), entry(last)
    if second[1] != first[1] + 1 or second[2] < first[2]:
        raise ValueError("the entries of a base do not follow each other")
    return Base(integer(version), octets(dump, DUMP_BYTES_MAX), first, second, node_ids(voters))


def decode_base(content: bytes) -> Base:
    """What `encode` made; ValueError when a bit of it is wrong."""
    digest, rest = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if blake2b(rest, digest_size=DIGEST_BYTES).digest() != digest:
        raise ValueError("a damaged dump")
    return base_of(unpack(rest))
