"""The offer beside a gauntlet: which of its chunks others play now, and where those are that they have finished.

It needs none of the libraries that compute, so the control process of a node writes it; parts.py says what is believed.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from ringrift_core.errors import StorageError
from ringrift_core.evaluation.record import Record
from ringrift_core.storage import read_bounded, write_whole

OFFER_BYTES_MAX = 1 << 20
PARTS_MAX = 1024  # of one gauntlet: some 2,000 games of each of 20 opponents, 64 at a time

Number = Annotated[int, Field(ge=0, lt=1 << 31)]


class OfferedPart(Record):
    """A chunk that somebody else plays, or has played."""

    row: Number
    first: Number  # block
    last: Number  # the block after it
    file: str | None = None  # path of the stored match; None: it is being played


class Offer(Record):
    """What others do for one gauntlet."""

    form: Literal["ringrift.parts/1"] = "ringrift.parts/1"
    parts: Annotated[tuple[OfferedPart, ...], Field(max_length=PARTS_MAX)] = ()


def write_offer(path: Path, offer: Offer) -> None:
    """Keep an offer; StorageError when the disk refuses."""
    write_whole(path, offer.model_dump_json().encode())


def read_offer(path: Path) -> Offer:
    """An offer, an empty one where there is no file; StorageError when it is damaged."""
    if not path.exists():
        return Offer()
    try:
        return Offer.model_validate_json(read_bounded(path, OFFER_BYTES_MAX))
    except ValidationError as error:
        raise StorageError(f"{path}: offers nothing: {error.errors()[0]['msg']}") from None
