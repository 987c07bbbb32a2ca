"""ModelInstaller: the canonical files of this node follow the champions of the state.

A champion that is not installed is installed. A canonical file whose digest is not that of the installed net is
reported at once and left alone for a while, because a person may have put it there; then the champion is installed
again and the strange file becomes the backup.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from config.schema import Settings
from managers.node_folder import NodeFolder
from managers.rollback_manager import get_rollback_history, utc
from managers.state.cluster_state import ClusterState
from managers.state.learners import Learner
from ringrift_core.errors import RingriftError, RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry, read_history, write_history
from ringrift_core.registry.model_files import digest_of, write_verified

PATIENCE_S = 900.0  # before a strange canonical file is replaced


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a canonical file that a person should know."""

    game: str  # or "registry": all of them
    what: str  # installed, repaired, damaged, missing, failed
    text: str
    sha256: str | None = None


class ModelInstaller:
    """Brings files in line with the state; every method works on the disk, so not for the event loop's thread."""

    def __init__(self, settings: Settings, folder: NodeFolder) -> None:
        self._settings = settings
        self._folder = folder
        self.registry = ModelRegistry(folder.models)
        self._strange: dict[str, float] = {}  # since when, by configuration
        self._staged: dict[str, str] = {}  # what the staging folder holds, by configuration
        self.elsewhere: Callable[[], Mapping[str, Mapping[str, str]]] = dict  # the same of other nodes, by node
        self.verified: Mapping[str, str] = {}  # digest of the canonical file as last seen, by configuration

    def repair(self, now: float) -> tuple[Finding, ...]:
        """Finish or take away what an earlier life that was killed has left in the registry; before jobs begin."""
        if not self._folder.models.exists():
            return ()
        try:
            return tuple(Finding("registry", "repaired", text) for text in self.registry.repair(utc(now)))
        except RingriftError as error:
            return (Finding("registry", "failed", str(error)),)

    def install(self, state: ClusterState, now: float) -> tuple[Finding, ...]:
        """Install what is champion and not installed, and block what is blocked."""
        found: list[Finding] = []
        for learner in state.learners.values():
            try:
                found += self._install(learner, utc(now))
            except RingriftError as error:
                found.append(Finding(learner.game, "failed", str(error), learner.champion))
        try:
            self._write_history(state)
        except StorageError as error:
            found += [Finding(it.game, "failed", str(error)) for it in state.learners.values() if it.rollbacks]
        return tuple(found)

    def check(self, state: ClusterState, now: float) -> tuple[Finding, ...]:
        """Compare the digests of the canonical files with the champions."""
        return tuple(finding for learner in state.learners.values() for finding in self._check(learner, now))

    def _install(self, learner: Learner, now: datetime) -> Iterator[Finding]:
        key = ConfigKey.parse(learner.game)
        blocked = self.registry.blocked() if learner.blocked else {}
        for sha256, reason in learner.blocked.items():
            if sha256 not in blocked:
                self.registry.block(sha256, reason or "blocked", now)
        reign, present = learner.reign, self.registry.production(key)
        if reign is None:
            return
        if present is None or present.sha256 != reign.sha256:
            try:
                version = self.registry.find(reign.sha256)
            except RulesError:
                yield Finding(learner.game, "missing", "the champion's net is on no disk of this node", reign.sha256)
                return
            self.registry.install(key, version.version, now, reign.reason or reign.kind, force=True)
            self._saw(learner.game, reign.sha256)
            yield Finding(learner.game, "installed", f"{reign.kind}: {reign.reason}", reign.sha256)
        if self._settings.promotion.sync_staging:
            self._sync_staging(key, reign.sha256)

    def _check(self, learner: Learner, now: float) -> Iterator[Finding]:
        key = ConfigKey.parse(learner.game)
        path = self.registry.files.canonical(key)
        try:
            present, found = self.registry.production(key), digest_of(path)
        except StorageError as error:
            yield Finding(learner.game, "failed", str(error))
            return
        self._saw(learner.game, found)
        if present is None or found == present.sha256 or present.sha256 != learner.champion:
            self._strange.pop(learner.game, None)
            return
        since = self._strange.setdefault(learner.game, now)
        left_s = since + PATIENCE_S - now
        is_what = "is missing" if found is None else f"has the digest {found[:16]}"
        text = f"{path.name} {is_what}, the champion is {present.sha256[:16]}"
        if left_s > 0:
            yield Finding(learner.game, "damaged", f"{text}; it is installed again in {left_s:.0f} s", found)
            return
        try:
            self.registry.install(key, present.version, utc(now), "the canonical file was damaged", force=True)
        except RingriftError as error:
            yield Finding(learner.game, "failed", f"{text}; {error}", found)
            return
        del self._strange[learner.game]
        self._saw(learner.game, present.sha256)
        yield Finding(learner.game, "installed", f"{text}; installed again", present.sha256)

    def _saw(self, game: str, sha256: str | None) -> None:
        """Another thread may read what is known at any time."""
        others = {name: digest for name, digest in self.verified.items() if name != game}
        self.verified = others if sha256 is None else {**others, game: sha256}

    def _sync_staging(self, key: ConfigKey, sha256: str) -> None:
        """Copy a champion from the registry to the staging folder, once."""
        if self._staged.get(str(key)) == sha256:
            return
        source = self.registry.files.canonical(key)
        target = (self._settings.promotion.staging_dir or self._folder.root / "staging") / source.name
        if digest_of(target) != sha256:
            write_verified(target, self.registry.content(sha256), sha256)
        self._staged[str(key)] = sha256

    def _write_history(self, state: ClusterState) -> None:
        """The rollbacks as a file, whenever it is not what the state says."""
        learners = state.learners.values()
        if not any(learner.rollbacks for learner in learners):
            return
        versions = {
            version.sha256: version.version
            for learner in learners if learner.rollbacks
            for version in self.registry.versions(ConfigKey.parse(learner.game))
        }  # fmt: skip
        events = get_rollback_history(learners, versions)
        try:
            known = read_history(self._folder.rollback_history)
        except StorageError:
            known = ()
        if known != events:
            write_history(self._folder.rollback_history, events)
