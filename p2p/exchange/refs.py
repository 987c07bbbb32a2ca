"""What a node says that it holds: references, the digest over all of them, pages of them. Pure.

`Ref` and `ManifestPage` are what goes over the wire; everything that another node says of itself is checked by their
types and believed no further: whoever fetches verifies.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from managers.state.record import Digest, Game
from ringrift_core.blob import CHUNK_BYTES

SIZE_MAX = 1 << 30  # of a file that travels
CHUNKS_MAX = SIZE_MAX // CHUNK_BYTES
PAGE_MAX = 500  # references
CURSOR = re.compile(r"(\d{1,12})-([0-9a-f]{64})")
Kind = Literal["net", "shard", "match", "gauntlet", "part"]  # a part is fetched by digest, and never listed
KINDS: tuple[Kind, ...] = ("net", "shard", "match", "gauntlet")


class Said(BaseModel):
    """Something that another node says; a later version may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Ref(Said):
    """A file that a node holds."""

    kind: Kind
    game: Game
    sha256: Digest
    size_bytes: Annotated[int, Field(ge=1, le=SIZE_MAX)]
    chunks: Digest  # over the digests of its chunks, as in BlobRef
    at: Annotated[int, Field(ge=0, lt=10**12)]  # unix seconds: when a shard was made, when another file came
    own: bool  # made here, not fetched
    rows: Annotated[int, Field(ge=0, lt=1 << 53)] = 0  # of a shard
    games: Annotated[int, Field(ge=0, lt=1 << 53)] = 0  # of a shard
    manifest: Digest | None = None  # of a shard: its manifest, a blob of its own

    @property
    def order(self) -> tuple[int, str]:
        """The newest first."""
        return -self.at, self.sha256


class ManifestPage(Said):
    """Part of what a node holds, the newest first; `root` is of all of it."""

    root: Digest
    total: Annotated[int, Field(ge=0)]
    refs: Annotated[tuple[Ref, ...], Field(max_length=PAGE_MAX)] = ()
    next: str | None = None  # the cursor of the page behind this one
    champions: dict[Game, Digest] = Field(default_factory=dict)  # installed here and verified, by configuration


class ChunkList(Said):
    """What a file is made of."""

    size_bytes: Annotated[int, Field(ge=1, le=SIZE_MAX)]
    chunks: Annotated[tuple[Digest, ...], Field(min_length=1, max_length=CHUNKS_MAX)]

    @property
    def sound(self) -> bool:
        """Whether there are as many chunks as such a size has."""
        return len(self.chunks) == -(-self.size_bytes // CHUNK_BYTES)

    @property
    def digest(self) -> str:
        """What `Ref.chunks` says of it."""
        return hashlib.sha256(b"".join(map(bytes.fromhex, self.chunks))).hexdigest()


def root_of(refs: Iterable[Ref]) -> str:
    """One digest for a set of references, in whatever order they come."""
    lines = sorted(f"{ref.kind} {ref.sha256}\n" for ref in refs)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def page_of(refs: Sequence[Ref], cursor: str | None, limit: int = PAGE_MAX) -> tuple[tuple[Ref, ...], str | None]:
    """A page of references that are in order, and the cursor of the next; ValueError for what is no cursor.

    A cursor is good for ever: a page begins with what comes behind it now.
    """
    first = 0
    if cursor is not None:
        found = CURSOR.fullmatch(cursor)
        if found is None:
            raise ValueError("no cursor of this list")
        first = bisect_right(refs, (-int(found[1]), found[2]), key=lambda ref: ref.order)
    page = tuple(refs[first : first + limit])
    more = first + limit < len(refs)
    return page, f"{page[-1].at}-{page[-1].sha256}" if more else None
