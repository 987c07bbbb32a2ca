"""A blob reference: how a file is named wherever it travels, so that each chunk can be verified from any relay."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ringrift_core.errors import StorageError

CHUNK_BYTES = 1 << 20  # what one exchange moves and one retry loses


@dataclass(frozen=True, slots=True)
class BlobRef:
    """The content of a file: digest, size, and the digest of the list of its chunks' digests (all hex)."""

    sha256: str
    size_bytes: int
    chunks: str  # SHA-256 over the 32-byte digests of the chunks of 1 MiB, in order

    @staticmethod
    def of(content: bytes) -> "BlobRef":
        """The reference of some bytes."""
        chunks = hashlib.sha256()
        for start in range(0, len(content), CHUNK_BYTES):
            chunks.update(hashlib.sha256(content[start : start + CHUNK_BYTES]).digest())
        return BlobRef(hashlib.sha256(content).hexdigest(), len(content), chunks.hexdigest())


def chunk_digests(path: Path) -> tuple[BlobRef, tuple[str, ...]]:
    """The reference of a file and the digests (hex) of its chunks, read chunk by chunk.

    StorageError when it cannot be read.
    """
    whole, listed, size, chunks = hashlib.sha256(), hashlib.sha256(), 0, []
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest = hashlib.sha256(chunk)
                whole.update(chunk)
                listed.update(digest.digest())
                size += len(chunk)
                chunks.append(digest.hexdigest())
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    return BlobRef(whole.hexdigest(), size, listed.hexdigest()), tuple(chunks)
