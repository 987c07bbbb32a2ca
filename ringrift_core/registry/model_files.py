"""The files of a registry: blobs by digest, the canonical file of each configuration, its backup, the link to it.

Every file appears under its name by an atomic rename of a copy that was read back and found right. A canonical file is
a copy of its own, never a link into the versions. Nothing here knows which version is meant to be where.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ringrift_core.errors import StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.storage import ADVICE, TEMPORARY, make_folder, read_bounded, sync_folder, write_whole

SIZE_MAX = 1 << 30  # of a net, as in nn/checkpoint.py
SUFFIX = ".pth"


class ModelFiles:
    """Paths below the root and what is done with them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.versions = root / "versions"
        self.backups = root / "backup"

    def blob(self, sha256: str) -> Path:
        """Where the file of a version is."""
        return self.versions / f"{sha256}{SUFFIX}"

    def canonical(self, key: ConfigKey) -> Path:
        """Where the production net of a configuration is."""
        return self.root / f"canonical_{key}{SUFFIX}"

    def backup(self, key: ConfigKey) -> Path:
        """Where the canonical file before the present one is."""
        return self.backups / f"canonical_{key}{SUFFIX}.bak"

    def link(self, key: ConfigKey) -> Path:
        """Where the link to the canonical file is."""
        return self.root / f"ringrift_best_{key}{SUFFIX}"

    def read_blob(self, sha256: str) -> bytes:
        """The verified content of a version; StorageError when it is missing or damaged."""
        content = read_bounded(self.blob(sha256), SIZE_MAX)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StorageError(
                f"{self.blob(sha256)}: damaged: its content is not what its name says; "
                "delete it and register the net again from another copy"
            )
        return content

    def add_blob(self, sha256: str, content: bytes) -> None:
        """Keep the content of a version; what is there already and right is left alone."""
        if digest_of(self.blob(sha256)) != sha256:
            write_verified(self.blob(sha256), content, sha256)

    def keep_backup(self, key: ConfigKey) -> None:
        """Copy the canonical file to the backup."""
        content = read_bounded(self.canonical(key), SIZE_MAX)
        write_verified(self.backup(key), content, hashlib.sha256(content).hexdigest())

    def put_canonical(self, key: ConfigKey, content: bytes, sha256: str) -> None:
        """Replace the canonical file, or its absence, in one step."""
        write_verified(self.canonical(key), content, sha256)

    def set_link(self, key: ConfigKey) -> None:
        """Make the link lead to the canonical file, in one step."""
        target = self.canonical(key).name
        if self.leads_to_canonical(key):
            return
        aside = self.root / f"{TEMPORARY}{self.link(key).name}-{secrets.token_hex(4)}"
        with _writing(self.link(key)):
            os.symlink(target, aside)
            aside.replace(self.link(key))
        sync_folder(self.root)

    def leads_to_canonical(self, key: ConfigKey) -> bool:
        """Whether the link is there and leads to the canonical file by its plain name."""
        link = self.link(key)
        return link.is_symlink() and str(link.readlink()) == self.canonical(key).name

    def blobs(self) -> tuple[Path, ...]:
        """Every file among the versions that is no leftover."""
        return tuple(path for path in _listed(self.versions) if not path.name.startswith(TEMPORARY))

    def leftovers(self) -> tuple[Path, ...]:
        """What killed writers left behind."""
        folders = (self.root, self.versions, self.backups)
        return tuple(path for folder in folders for path in _listed(folder) if path.name.startswith(TEMPORARY))

    def remove(self, path: Path) -> None:
        """Delete a leftover; one that is gone already is fine."""
        with _writing(path):
            path.unlink(missing_ok=True)


def digest_of(path: Path) -> str | None:
    """SHA-256 of a file in hex, None where there is none; StorageError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def write_verified(path: Path, content: bytes, sha256: str) -> None:
    """Write a file and read it back before it takes its name; StorageError, and the old file stays, when that fails."""
    make_folder(path.parent)
    staged = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}-staged")
    try:
        write_whole(staged, content)
        found = digest_of(staged)
        if found == sha256:
            with _writing(path):
                staged.replace(path)
    finally:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
    if found != sha256:
        raise StorageError(f"{path}: what was written reads back as something else; check the disk and the memory")
    sync_folder(path.parent)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "check the disk")
        raise StorageError(f"{path}: cannot be written ({error.strerror}); {advice}") from error


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{folder}: cannot be listed: {error.strerror}") from error
