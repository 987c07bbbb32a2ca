"""The model registry: versions of nets by content, and which of them is in production (docs/design/registry.md).

    registry = ModelRegistry("models")
    version = registry.register(Path("candidate.pth"), now)
    registry.install(version.key, version.version, now, "passed its gate")

Several processes may use one root at once. Whoever changes something first finishes what a killed process had begun.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import CONFIG_KEYS, ConfigKey
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.registry.findings import findings
from ringrift_core.registry.index import Index, PendingInstall, Rows
from ringrift_core.registry.model_files import SIZE_MAX, ModelFiles, digest_of
from ringrift_core.registry.model_version import (
    LEGAL,
    Finding,
    Lineage,
    Measured,
    ModelVersion,
    Stage,
    Transition,
    plain_json,
    utc_text,
)
from ringrift_core.storage import make_folder, read_bounded

if TYPE_CHECKING:
    from ringrift_core.nn.checkpoint import Checkpoint

INDEX = "registry.sqlite"
PREFIX = re.compile("[0-9a-f]{4,64}")
REASON_MAX = 1000  # characters


class ModelRegistry:
    """Versions, stages and the production files below one folder. Times are arguments and need a time zone.

    Every method raises StorageError when the disk, a file or the index fails, RulesError for what cannot be granted.
    """

    def __init__(self, root: Path | str = "models") -> None:
        self._files = ModelFiles(Path(root).absolute())
        self._index = Index(self._files.root / INDEX)

    @property
    def files(self) -> ModelFiles:
        """Where the files are."""
        return self._files

    # ---- versions ----

    def register(
        self,
        path: Path,
        now: datetime,
        *,
        metrics: Mapping[str, object] | None = None,
        stage: Stage = Stage.DEVELOPMENT,
    ) -> ModelVersion:
        """Copy a checkpoint into the registry and number it; the same content is the same version for ever.

        Metrics are appended, also to a version that is there already, whose stage stays. StorageError when the file is
        no checkpoint of this game.
        """
        if stage not in {Stage.DEVELOPMENT, Stage.STAGING}:
            raise RulesError(f"a new version is in development or staging, not {stage.value}")
        measured = None if metrics is None else plain_json(metrics)
        content = read_bounded(path, SIZE_MAX)
        sha256 = hashlib.sha256(content).hexdigest()
        with self._index.read() as rows:
            known = rows.by_digest(sha256)
        checkpoint = _load(path, sha256) if known is None else None
        utc_text(now)
        make_folder(self._files.root)
        with self._index.write() as rows:
            version = rows.by_digest(sha256)
            self._files.add_blob(sha256, content)
            if version is None:
                new = _new_version(rows, checkpoint or _load(path, sha256), len(content), stage, now)
                version = rows.add(new, f"registered from {path.name}")
            if measured is not None:
                rows.add_metrics(sha256, now, measured)
        return version

    def get(self, key: ConfigKey, version: int) -> ModelVersion:
        """One version by its number; RulesError when there is none."""
        with self._index.read() as rows:
            return _known(rows, key, version)

    def find(self, prefix: str) -> ModelVersion:
        """The version whose SHA-256 begins so (four hex digits or more); RulesError when there is none or several."""
        if not PREFIX.fullmatch(prefix.lower()):
            raise RulesError(f"a digest has 4 to 64 hex digits, not {prefix[:80]!r}")
        with self._index.read() as rows:
            found = rows.by_prefix(prefix.lower())
        if not found:
            raise RulesError(f"no version has a digest that begins with {prefix}")
        if len(found) > 1:
            raise RulesError(f"several versions have a digest that begins with {prefix}: give more digits")
        return found[0]

    def versions(self, key: ConfigKey) -> tuple[ModelVersion, ...]:
        """All versions of a configuration, oldest first."""
        with self._index.read() as rows:
            return rows.versions(key)

    def production(self, key: ConfigKey) -> ModelVersion | None:
        """The version in production, if any; an interrupted install does not count."""
        with self._index.read() as rows:
            return rows.production(key)

    def content(self, sha256: str) -> bytes:
        """The verified file of a version."""
        return self._files.read_blob(sha256)

    def lineage(self, sha256: str) -> Lineage:
        """A version, its parent, and so on to the oldest that is known here; RulesError for an unknown digest."""
        chain: dict[str, ModelVersion] = {}
        following: str | None = sha256
        with self._index.read() as rows:
            while following is not None and following not in chain:
                version = rows.by_digest(following)
                if version is None:
                    break
                chain[following] = version
                following = version.parent
        if not chain:
            raise RulesError(f"no version has the digest {sha256[:80]}")
        cycle = following in chain
        return Lineage(tuple(chain.values()), None if cycle else following, cycle)

    # ---- what is known of a version ----

    def set_metrics(self, key: ConfigKey, version: int, metrics: Mapping[str, object], now: datetime) -> None:
        """Append measured metrics: plain finite values by name; RulesError names what is none."""
        measured = plain_json(metrics)
        with self._index.write() as rows:
            rows.add_metrics(_known(rows, key, version).sha256, now, measured)

    def metrics(self, key: ConfigKey, version: int) -> tuple[Measured, ...]:
        """All metrics of a version, in the order in which they came."""
        with self._index.read() as rows:
            return rows.metrics(_known(rows, key, version).sha256)

    def transition(self, key: ConfigKey, version: int, stage: Stage, now: datetime, reason: str) -> ModelVersion:
        """Put a version into another stage; RulesError when there is no way there (production: only by `install`)."""
        _refuse_reason(reason)
        with self._index.write() as rows:
            chosen = _known(rows, key, version)
            if any(install.sha256 == chosen.sha256 for install in rows.pending(key)):
                raise RulesError(f"{key} version {version} is being installed; call repair() or install it again")
            if stage not in LEGAL[chosen.stage]:
                ways = ", ".join(sorted(way.value for way in LEGAL[chosen.stage])) or "nowhere but by another install"
                raise RulesError(
                    f"{key} version {version} is in {chosen.stage.value}: from there to {ways}, not to {stage.value}"
                )
            rows.move(chosen, stage, now, reason)
            return _known(rows, key, version)

    def transitions(self, key: ConfigKey, version: int) -> tuple[Transition, ...]:
        """The stages a version went through, oldest first."""
        with self._index.read() as rows:
            return rows.transitions(_known(rows, key, version).sha256)

    def block(self, sha256: str, reason: str, now: datetime) -> None:
        """Never install this digest again without force; it need not be known here. The first reason stands."""
        _refuse_reason(reason)
        if len(sha256) != 64 or not PREFIX.fullmatch(sha256):
            raise RulesError(f"a digest has 64 hex digits, not {sha256[:80]!r}")
        make_folder(self._files.root)
        with self._index.write() as rows:
            rows.block(sha256, now, reason)

    def blocked(self) -> Mapping[str, str]:
        """The blocked digests and why."""
        with self._index.read() as rows:
            return rows.blocked()

    # ---- production ----

    def install(self, key: ConfigKey, version: int, now: datetime, reason: str, *, force: bool = False) -> ModelVersion:
        """Make a version the production one: old one archived, backup, canonical file, link.

        RulesError for a blocked digest (named) or a rejected version without `force`; force takes the block away. After
        a StorageError what was in production still is, unless the canonical file had been replaced already: then, as
        after a kill at any instant, the next install of the configuration or `repair` finishes it (`check` names it).
        """
        self._finish_begun(key)
        return self._install(self.get(key, version), now, reason, force=force, restores=False)

    def restore_backup(self, key: ConfigKey, now: datetime, reason: str, *, force: bool = False) -> ModelVersion:
        """Install what the backup holds; what it replaces becomes the backup. RulesError when there is no backup.

        An interrupted restoring is finished instead, so the call may be repeated until it returns.
        """
        finished = [install for install in self._finish_begun(key) if install.restores]
        if finished:
            return self.find(finished[0].sha256)
        path = self._files.backup(key)
        if not path.exists():
            raise RulesError(f"there is no backup of {key} ({path})")
        version = self.register(path, now)
        if version.key != key:
            raise RulesError(f"{path} holds a net of {version.key}, not of {key}")
        return self._install(version, now, reason, force=force, restores=True)

    def repair(self, now: datetime) -> tuple[str, ...]:
        """Finish interrupted installs, make again what is missing, index what is not indexed; say what was done.

        A canonical file that is not the production version is never overwritten: somebody put it there (`check`).
        """
        make_folder(self._files.root)
        done = list(self._settle_all())
        done += self._index_blobs(now)
        with self._index.write() as rows:
            for path in self._files.leftovers():
                self._files.remove(path)
                done.append(f"removed {path.name}, left by a killed writer")
            for key in CONFIG_KEYS:
                done += self._restore(rows, key, now)
        return tuple(done)

    def check(self) -> tuple[Finding, ...]:
        """Everything that is wrong with files and index; reads every file, changes nothing."""
        return findings(self._files, self._index)

    # ---- how an install is carried out ----

    def _install(
        self, chosen: ModelVersion, now: datetime, reason: str, *, force: bool, restores: bool
    ) -> ModelVersion:
        """Note the wish, then carry it out: two transactions, so that a kill between them leaves the wish."""
        _refuse_reason(reason)
        key = chosen.key
        with self._index.write() as rows:
            chosen = _known(rows, key, chosen.version)
            _refuse_install(rows, chosen, force=force)
            self._files.read_blob(chosen.sha256)
            for install in rows.pending(key):  # begun by another process a moment ago
                self._carry_out(rows, install)
            rows.begin(PendingInstall(key, chosen.sha256, now, reason, restores))
        self._settle(key)
        return self.get(key, chosen.version)

    def _finish_begun(self, key: ConfigKey) -> tuple[PendingInstall, ...]:
        """Finish what a killed process had begun, or give it up: it must not stand in the way of what comes now."""
        with suppress(StorageError):
            return self._settle(key)
        return ()

    def _settle(self, key: ConfigKey) -> tuple[PendingInstall, ...]:
        """Finish the install that was begun for a configuration, if any; one that cannot be finished is given up."""
        with self._index.read() as rows:
            if not rows.pending(key):
                return ()
        try:
            with self._index.write() as rows:
                pending = rows.pending(key)
                for install in pending:
                    self._carry_out(rows, install)
                return pending
        except StorageError:
            with suppress(StorageError):
                self._give_up(key)
            raise

    def _settle_all(self) -> Iterator[str]:
        with self._index.read() as rows:
            pending = rows.pending()
        for install in pending:
            try:
                self._settle(install.key)
                yield f"finished the install of {install.key} {install.sha256[:16]}"
            except StorageError as error:
                yield f"gave up the install of {install.key} {install.sha256[:16]}: {error}"

    def _carry_out(self, rows: Rows, install: PendingInstall) -> None:
        """The files, then the stages; every step may be done twice. Runs under the lock of the index."""
        key, sha256 = install.key, install.sha256
        content = self._files.read_blob(sha256)
        if (
            digest_of(self._files.canonical(key)) != sha256
        ):  # else it was done before: the backup must not be the new one
            if self._files.canonical(key).exists():
                self._files.keep_backup(key)
            self._files.put_canonical(key, content, sha256)
        self._files.set_link(key)
        _promote(rows, install)
        rows.unblock(sha256)  # only force installs a blocked digest
        rows.end(install)

    def _give_up(self, key: ConfigKey) -> None:
        """Forget an install whose canonical file was not put in place."""
        with self._index.write() as rows:
            for install in rows.pending(key):
                if digest_of(self._files.canonical(key)) != install.sha256:
                    rows.end(install)

    # ---- repairing ----

    def _index_blobs(self, now: datetime) -> Iterator[str]:
        """Register what lies among the versions and is sound; the rest stays for `check` to report."""
        with self._index.read() as rows:
            known = {version.sha256 for version in rows.versions()}
        unknown = [path for path in self._files.blobs() if path.stem not in known and digest_of(path) == path.stem]
        heads = []
        for path in unknown:
            with suppress(StorageError):
                heads.append((_load(path, path.stem).head, path))
        for _, path in sorted(heads, key=lambda pair: (pair[0].trained_at, pair[0].version, pair[1].name)):
            version = self.register(path, now)
            yield f"indexed {path.stem[:16]} as {version.key} version {version.version}"

    def _restore(self, rows: Rows, key: ConfigKey, now: datetime) -> Iterator[str]:
        production, present = rows.production(key), digest_of(self._files.canonical(key))
        if production is None and present is not None:
            production = rows.by_digest(present)
            if production is None or production.key != key:
                return
            _promote(rows, PendingInstall(key, present, now, "found as canonical file", restores=False))
            yield f"{key} version {production.version} is in production: its canonical file says so"
        if production is None:
            return
        blob, sha256 = self._files.blob(production.sha256), production.sha256
        if digest_of(blob) != sha256 and present == sha256:
            self._files.add_blob(sha256, read_bounded(self._files.canonical(key), SIZE_MAX))
            yield f"made {blob.name} again from the canonical file"
        if present is None and digest_of(blob) == sha256:
            self._files.put_canonical(key, self._files.read_blob(sha256), sha256)
            yield f"made {self._files.canonical(key).name} again"
        if self._files.canonical(key).exists() and not self._files.leads_to_canonical(key):
            self._files.set_link(key)
            yield f"made {self._files.link(key).name} again"


def _load(path: Path, sha256: str) -> "Checkpoint":
    """Read a checkpoint whose digest is known."""
    from ringrift_core.nn.checkpoint import load_checkpoint  # noqa: PLC0415 - torch takes seconds to import

    checkpoint = load_checkpoint(path)
    if checkpoint.sha256 != sha256:
        raise StorageError(f"{path}: changed while it was read: register it once it is complete")
    return checkpoint


def _new_version(rows: Rows, checkpoint: "Checkpoint", size_bytes: int, stage: Stage, now: datetime) -> ModelVersion:
    net, head = checkpoint.net, checkpoint.head
    return ModelVersion(
        key=net.key,
        version=rows.next_version(net.key),
        sha256=checkpoint.sha256,
        size_bytes=size_bytes,
        stage=stage,
        arch=net.arch.name,
        rules_digest=RULES_DIGEST,
        label=head.version,
        trained_at=head.trained_at,
        elo=head.elo,
        parent=head.parent,
        data=head.data,
        train=head.train,
        gauntlet=head.gauntlet,
        registered_at=now,
    )


def _known(rows: Rows, key: ConfigKey, version: int) -> ModelVersion:
    found = rows.version(key, version)
    if found is None:
        count = len(rows.versions(key))
        raise RulesError(f"there is no version {version} of {key}; it has {count} version{'' if count == 1 else 's'}")
    return found


def _refuse_install(rows: Rows, chosen: ModelVersion, *, force: bool) -> None:
    blocked = rows.blocked().get(chosen.sha256)
    if blocked is not None and not force:
        raise RulesError(f"{chosen.key} version {chosen.version} ({chosen.sha256}) is blocked: {blocked}")
    if chosen.stage is Stage.REJECTED and not force:
        raise RulesError(f"{chosen.key} version {chosen.version} ({chosen.sha256}) was rejected")


def _promote(rows: Rows, install: PendingInstall) -> None:
    """The stages of an install: the old one leaves production before the new one enters."""
    old, new = rows.production(install.key), rows.by_digest(install.sha256)
    if old is not None and old.sha256 != install.sha256:
        rows.move(old, Stage.ARCHIVED, install.at, f"replaced by {install.sha256[:16]}: {install.reason}")
    if new is not None and new.stage is not Stage.PRODUCTION:
        rows.move(new, Stage.PRODUCTION, install.at, install.reason)


def _refuse_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > REASON_MAX:
        raise RulesError(f"give a reason of 1 to {REASON_MAX} characters")
