"""A blob reference: how a file is named wherever it travels, so that each chunk can be verified from any relay."""

import hashlib
from dataclasses import dataclass

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
