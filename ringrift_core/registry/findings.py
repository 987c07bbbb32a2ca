"""What is wrong with a registry's files and index: a look that changes nothing."""

from collections.abc import Iterator

from ringrift_core.game.config_key import CONFIG_KEYS, ConfigKey
from ringrift_core.registry.index import Index
from ringrift_core.registry.model_files import ModelFiles, digest_of
from ringrift_core.registry.model_version import Fault, Finding, Stage


def findings(files: ModelFiles, index: Index) -> tuple[Finding, ...]:
    """Everything that is wrong; every file is read. A damaged index is the only finding then."""
    wrong = index.quick_check()
    if wrong is not None:
        return (Finding(Fault.DAMAGED_INDEX, index.path, wrong),)
    with index.read() as rows:
        versions, pending = rows.versions(), rows.pending()
    found = [
        Finding(Fault.UNFINISHED_INSTALL, files.canonical(install.key), "install it again or call repair()")
        for install in pending
    ]
    found += _of_blobs(files, {version.sha256 for version in versions})
    production = {version.key: version.sha256 for version in versions if version.stage is Stage.PRODUCTION}
    for key in CONFIG_KEYS:
        found += _of_canonical(files, key, production.get(key))
    found += [Finding(Fault.LEFTOVER, path, "repair() removes it") for path in files.leftovers()]
    return tuple(found)


def _of_blobs(files: ModelFiles, known: set[str]) -> Iterator[Finding]:
    for sha256 in sorted(known):
        path, digest = files.blob(sha256), digest_of(files.blob(sha256))
        if digest is None:
            yield Finding(Fault.MISSING_BLOB, path, "register the net again from another copy")
        elif digest != sha256:
            yield Finding(Fault.DAMAGED_BLOB, path, "delete it and register the net again from another copy")
    for path in files.blobs():
        if path.stem not in known:
            yield Finding(Fault.UNKNOWN_BLOB, path, "repair() registers it if it is sound")


def _of_canonical(files: ModelFiles, key: ConfigKey, production: str | None) -> Iterator[Finding]:
    canonical, link = files.canonical(key), files.link(key)
    present = digest_of(canonical)
    if present != production:
        if present is None:
            yield Finding(Fault.MISSING_CANONICAL, canonical, "repair() makes it again")
        else:
            expected = "no version" if production is None else production[:16]
            yield Finding(
                Fault.UNEXPECTED_CANONICAL, canonical,
                f"its digest is {present[:16]}, in production is {expected}: register and install it, or install "
                "the production version again",
            )  # fmt: skip
    if (present is not None or link.is_symlink()) and not (files.leads_to_canonical(key) and present):
        yield Finding(Fault.DANGLING_LINK, link, "repair() sets it")
