"""The registry: versions by content, stages, production, what is repaired and what is reported."""

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ringrift_core.errors import InvariantError, RulesError, StorageError
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import model_files
from ringrift_core.registry.model_files import digest_of
from ringrift_core.registry.model_registry import ModelRegistry
from ringrift_core.registry.model_version import LEGAL, Fault, Stage
from tests.tidy import ROOT
from tests.unit.registry.nets import HOUR, KEY, NOW, SavedNet, saved_net

REASON = "passed its gate"


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, nets: list[SavedNet]) -> Path:
    root = tmp_path_factory.mktemp("template") / "models"
    registry = ModelRegistry(root)
    for net in nets[:3]:
        registry.register(net.path, NOW)
    registry.install(KEY, 1, NOW, REASON)
    registry.install(KEY, 2, NOW + HOUR, REASON)
    return root


@pytest.fixture
def filled(template: Path, registry: ModelRegistry) -> ModelRegistry:
    """Three versions, the second one in production, the first one in the backup."""
    shutil.copytree(template, registry.files.root, symlinks=True)
    return registry


def digests(registry: ModelRegistry) -> tuple[str | None, str | None]:
    """Of the canonical file and of the backup."""
    return digest_of(registry.files.canonical(KEY)), digest_of(registry.files.backup(KEY))


def faults(registry: ModelRegistry) -> list[Fault]:
    return [finding.fault for finding in registry.check()]


def execute(registry: ModelRegistry, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(registry.files.root / "registry.sqlite", isolation_level=None)) as connection:
        connection.execute(statement, values)


@contextmanager
def small_disk(size_bytes: int) -> Iterator[None]:
    """Files cannot grow beyond this: what a full disk does to a writer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---- versions ----


def test_a_registered_net_has_its_number_digest_and_lineage(registry, nets):
    version = registry.register(nets[1].path, NOW)
    assert (version.key, version.version, version.sha256) == (KEY, 1, nets[1].sha256)
    assert (version.stage, version.arch, version.label) == (Stage.DEVELOPMENT, "nano", 2)
    assert (version.parent, version.data, version.train) == (nets[0].sha256, {"rows": 10}, {"steps": 2})
    assert (version.elo, version.gauntlet) == (1500.5, {"random": {"share": 0.9}})
    assert (version.rules_digest, version.registered_at) == (Game.RULES_DIGEST, NOW)
    assert version.size_bytes == nets[1].path.stat().st_size
    assert registry.content(version.sha256) == nets[1].path.read_bytes()
    assert registry.get(KEY, 1) == version
    assert ModelRegistry(registry.files.root).versions(KEY) == (version,)


@pytest.mark.parametrize("number", [0, -1, 2, 1 << 63, -(1 << 70), 10**30])
def test_a_number_that_no_version_has_is_refused_however_large(registry, nets, number):
    registry.register(nets[0].path, NOW)
    with pytest.raises(RulesError, match="there is no version"):
        registry.get(KEY, number)


def test_the_same_content_is_the_same_version_whatever_its_file_is_called(registry, nets, tmp_path):
    first = registry.register(nets[0].path, NOW)
    copy = tmp_path / "another name.pth"
    copy.write_bytes(nets[0].path.read_bytes())
    assert registry.register(copy, NOW + HOUR, stage=Stage.STAGING) == first
    assert len(registry.versions(KEY)) == 1
    assert len(registry.transitions(KEY, 1)) == 1


def test_versions_are_numbered_within_their_configuration(registry, nets, tmp_path):
    other = ConfigKey.parse("square8_2p")
    registry.register(nets[0].path, NOW)
    assert registry.register(saved_net(tmp_path, 1, key=other).path, NOW).version == 1
    assert registry.register(nets[1].path, NOW).version == 2
    assert [version.sha256 for version in registry.versions(KEY)] == [nets[0].sha256, nets[1].sha256]


def test_registering_copies_so_the_original_may_go(registry, tmp_path):
    net = saved_net(tmp_path, 9)
    registry.register(net.path, NOW)
    net.path.write_bytes(b"gone")
    assert digest_of(registry.files.blob(net.sha256)) == net.sha256
    assert not registry.files.blob(net.sha256).is_symlink()


@pytest.mark.parametrize("content", [b"", b"no net", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_checkpoint_is_refused_and_leaves_nothing(registry, tmp_path, content):
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"bad\.pth"):
        registry.register(path, NOW)
    assert registry.versions(KEY) == ()
    assert registry.files.blobs() == ()


def test_a_new_version_is_in_development_or_staging(registry, nets):
    assert registry.register(nets[0].path, NOW, stage=Stage.STAGING).stage is Stage.STAGING
    with pytest.raises(RulesError, match="development or staging"):
        registry.register(nets[1].path, NOW, stage=Stage.PRODUCTION)


def test_registering_again_heals_a_damaged_blob(filled, nets):
    blob = filled.files.blob(nets[2].sha256)
    blob.write_bytes(b"damaged")
    assert faults(filled) == [Fault.DAMAGED_BLOB]
    with pytest.raises(StorageError, match="damaged"):
        filled.install(KEY, 3, NOW, REASON)
    assert filled.production(KEY).version == 2
    filled.register(nets[2].path, NOW)
    assert filled.check() == ()


def test_a_version_is_found_by_the_beginning_of_its_digest(filled, nets):
    assert filled.find(nets[1].sha256[:8].upper()).version == 2
    assert filled.find(nets[1].sha256).version == 2
    with pytest.raises(RulesError, match="no version"):
        filled.find("0000")
    for bad in ("abc", "xyzw", nets[1].sha256 + "0"):
        with pytest.raises(RulesError, match="hex digits"):
            filled.find(bad)


def test_a_digest_that_begins_like_another_is_ambiguous(filled, nets):
    twin = nets[1].sha256[:10] + "0" * 54
    columns = "config_key, 9, size_bytes, 'archived', arch, rules_digest, label, trained_at, elo, parent, data, train"
    execute(
        filled,
        f"INSERT INTO versions SELECT ?, {columns}, gauntlet, registered_at FROM versions WHERE version = 2",
        twin,
    )
    with pytest.raises(RulesError, match="several"):
        filled.find(nets[1].sha256[:10])
    assert filled.find(nets[1].sha256[:11]).version == 2


def test_an_unknown_version_says_how_many_there_are(filled):
    with pytest.raises(RulesError, match="no version 7 of hex8_2p; it has 3 versions"):
        filled.get(KEY, 7)


def test_looking_into_a_registry_that_is_none_makes_nothing(registry):
    assert registry.versions(KEY) == ()
    assert registry.production(KEY) is None
    assert registry.check() == ()
    assert not registry.files.root.exists()


# ---- metrics and lineage ----


def test_metrics_are_appended_and_keep_their_order(registry, nets):
    registry.register(nets[0].path, NOW, metrics={"elo": 1500, "rows": [1, 2]})
    registry.set_metrics(KEY, 1, {"elo": 1512.5, "against": {"random": 0.97}, "note": None}, NOW + HOUR)
    found = registry.metrics(KEY, 1)
    assert [measured.at for measured in found] == [NOW, NOW + HOUR]
    assert found[0].values == {"elo": 1500, "rows": [1, 2]}
    assert found[1].values == {"elo": 1512.5, "against": {"random": 0.97}, "note": None}


@pytest.mark.parametrize(
    "bad", [float("nan"), float("inf"), {1: 2}, {"a": {1, 2}}, b"x", object(), [[[[[[[[[1]]]]]]]]], "x" * (1 << 20)]
)
def test_metrics_that_are_not_plain_and_finite_are_refused(filled, bad):
    with pytest.raises(RulesError, match="metrics"):
        filled.set_metrics(KEY, 1, {"bad": bad}, NOW)
    assert filled.metrics(KEY, 1) == ()


def test_lineage_goes_to_the_oldest_known_parent_and_names_the_missing_one(registry, nets):
    for net in nets[1:]:
        registry.register(net.path, NOW)
    found = registry.lineage(nets[3].sha256)
    assert [version.sha256 for version in found.versions] == [net.sha256 for net in reversed(nets[1:])]
    assert (found.missing, found.cycle) == (nets[0].sha256, False)
    registry.register(nets[0].path, NOW)
    assert registry.lineage(nets[3].sha256).missing is None
    with pytest.raises(RulesError, match="no version"):
        registry.lineage("ab" * 32)


def test_a_cycle_in_the_lineage_ends_it(filled, nets):
    execute(filled, "UPDATE versions SET parent = ? WHERE sha256 = ?", nets[2].sha256, nets[0].sha256)
    found = filled.lineage(nets[2].sha256)
    assert len(found.versions) == 3
    assert (found.missing, found.cycle) == (None, True)


# ---- stages ----


@pytest.mark.parametrize("start", [Stage.DEVELOPMENT, Stage.STAGING, Stage.ARCHIVED, Stage.REJECTED])
@pytest.mark.parametrize("end", list(Stage))
def test_only_legal_transitions_happen_and_each_is_noted(registry, nets, start, end):
    registry.register(nets[0].path, NOW)
    execute(registry, "UPDATE versions SET stage = ?", start.value)
    if end in LEGAL[start]:
        assert registry.transition(KEY, 1, end, NOW + HOUR, "why").stage is end
        step = registry.transitions(KEY, 1)[-1]
        assert (step.from_stage, step.to_stage, step.at, step.reason) == (start, end, NOW + HOUR, "why")
    else:
        with pytest.raises(RulesError, match=f"from there to .*, not to {end.value}"):
            registry.transition(KEY, 1, end, NOW, "why")
        assert registry.get(KEY, 1).stage is start


def test_production_is_neither_entered_nor_left_by_a_transition(filled):
    assert all(Stage.PRODUCTION not in ways for ways in LEGAL.values())
    for stage in Stage:
        with pytest.raises(RulesError, match="nowhere but by another install"):
            filled.transition(KEY, 2, stage, NOW, "why")


def test_a_reason_is_needed(filled):
    for reason in ("", "  ", "x" * 1001):
        with pytest.raises(RulesError, match="reason"):
            filled.transition(KEY, 1, Stage.REJECTED, NOW, reason)
        with pytest.raises(RulesError, match="reason"):
            filled.install(KEY, 3, NOW, reason)


def test_a_time_needs_a_time_zone(registry, nets):
    with pytest.raises(InvariantError, match="time zone"):
        registry.register(nets[0].path, NOW.replace(tzinfo=None))
    assert registry.files.blobs() == ()


# ---- production ----


def test_an_install_archives_the_old_one_and_keeps_it_as_backup(filled, nets):
    filled.install(KEY, 3, NOW + 2 * HOUR, "better")
    assert filled.production(KEY).sha256 == nets[2].sha256
    assert [version.stage for version in filled.versions(KEY)] == [Stage.ARCHIVED, Stage.ARCHIVED, Stage.PRODUCTION]
    assert digests(filled) == (nets[2].sha256, nets[1].sha256)
    steps = filled.transitions(KEY, 2)
    assert [step.to_stage for step in steps] == [Stage.DEVELOPMENT, Stage.PRODUCTION, Stage.ARCHIVED]
    assert steps[-1].reason == f"replaced by {nets[2].sha256[:16]}: better"
    assert filled.check() == ()


def test_the_canonical_file_is_a_copy_of_its_own_and_the_link_leads_to_it_by_name(filled, nets):
    canonical, link = filled.files.canonical(KEY), filled.files.root / "ringrift_best_hex8_2p.pth"
    assert canonical.name == "canonical_hex8_2p.pth"
    assert not canonical.is_symlink()
    assert canonical.stat().st_nlink == 1
    assert os.readlink(link) == canonical.name
    canonical.write_bytes(b"spoiled")
    assert digest_of(filled.files.blob(nets[1].sha256)) == nets[1].sha256


def test_installing_the_production_version_again_changes_nothing(filled, nets):
    filled.install(KEY, 2, NOW + HOUR, REASON)
    assert digests(filled) == (nets[1].sha256, nets[0].sha256)
    assert len(filled.transitions(KEY, 2)) == 2


def test_the_backup_is_restored_and_what_it_replaces_becomes_the_backup(filled, nets):
    assert filled.restore_backup(KEY, NOW + HOUR, "worse than before").version == 1
    assert digests(filled) == (nets[0].sha256, nets[1].sha256)
    assert filled.check() == ()


def test_a_backup_that_nobody_knows_is_registered_before_it_is_restored(filled, nets):
    filled.files.backup(KEY).write_bytes(nets[3].path.read_bytes())
    assert filled.restore_backup(KEY, NOW + HOUR, "by hand").version == 4
    assert digests(filled) == (nets[3].sha256, nets[1].sha256)


def test_no_backup_a_damaged_one_and_one_of_another_game_are_refused(filled, registry, tmp_path, nets):
    with pytest.raises(RulesError, match="no backup"):
        filled.restore_backup(ConfigKey.parse("hex8_3p"), NOW, REASON)
    filled.files.backup(KEY).write_bytes(b"half")
    with pytest.raises(StorageError, match="no file of the format"):
        filled.restore_backup(KEY, NOW, REASON)
    foreign = saved_net(tmp_path, 1, key=ConfigKey.parse("square8_2p"))
    filled.files.backup(KEY).write_bytes(foreign.path.read_bytes())
    with pytest.raises(RulesError, match="of square8_2p, not of hex8_2p"):
        filled.restore_backup(KEY, NOW, REASON)
    assert filled.production(KEY).sha256 == nets[1].sha256


def test_a_blocked_digest_is_installed_by_force_only_which_ends_the_block(filled, nets):
    filled.block(nets[2].sha256, "lost 120 Elo", NOW)
    filled.block(nets[2].sha256, "another reason", NOW)
    assert filled.blocked() == {nets[2].sha256: "lost 120 Elo"}
    with pytest.raises(RulesError, match=f"{nets[2].sha256}.*blocked: lost 120 Elo"):
        filled.install(KEY, 3, NOW, REASON)
    assert filled.production(KEY).version == 2
    assert filled.install(KEY, 3, NOW, "by hand", force=True).stage is Stage.PRODUCTION
    assert filled.blocked() == {}
    with pytest.raises(RulesError, match="64 hex digits"):
        filled.block("abcd", "why", NOW)


def test_a_digest_can_be_blocked_before_it_is_known(registry, nets):
    registry.block(nets[0].sha256, "bad elsewhere", NOW)
    registry.register(nets[0].path, NOW)
    with pytest.raises(RulesError, match="bad elsewhere"):
        registry.install(KEY, 1, NOW, REASON)


def test_a_rejected_version_is_installed_by_force_only(filled):
    filled.transition(KEY, 3, Stage.REJECTED, NOW, "failed its gate")
    with pytest.raises(RulesError, match="rejected"):
        filled.install(KEY, 3, NOW, REASON)
    assert filled.install(KEY, 3, NOW, "by hand", force=True).version == 3


# ---- disks that fail ----


def test_a_full_disk_loses_nothing_and_the_same_install_works_later(filled, nets):
    with small_disk(100_000), pytest.raises(StorageError, match=r"canonical_hex8_2p.* cannot be written"):
        filled.install(KEY, 3, NOW, REASON)
    assert filled.production(KEY).version == 2
    assert digests(filled) == (nets[1].sha256, nets[0].sha256)
    assert filled.check() == (), "the install was given up"
    filled.install(KEY, 3, NOW, REASON)
    assert digests(filled) == (nets[2].sha256, nets[1].sha256)


def test_a_full_disk_while_registering_leaves_no_version(filled, nets):
    with small_disk(100_000), pytest.raises(StorageError, match="cannot be written"):
        filled.register(nets[3].path, NOW)
    assert len(filled.versions(KEY)) == 3
    assert filled.check() == ()


def test_a_full_disk_stops_the_index_too(filled):
    size = (filled.files.root / "registry.sqlite").stat().st_size
    big = {"text": "x" * 500_000}
    with small_disk(size), pytest.raises(StorageError, match="disk"):
        filled.set_metrics(KEY, 1, big, NOW)
    assert filled.metrics(KEY, 1) == ()
    assert filled.check() == ()


def test_a_link_that_cannot_be_made_leaves_an_install_to_finish(filled, nets, monkeypatch):
    def refuse(*_args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    filled.files.link(KEY).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "symlink", refuse)
        with pytest.raises(StorageError, match="make the folder writable"):
            filled.install(KEY, 3, NOW, REASON)
    assert digests(filled) == (nets[2].sha256, nets[1].sha256)
    assert Fault.UNFINISHED_INSTALL in faults(filled)
    with pytest.raises(RulesError, match="being installed"):
        filled.transition(KEY, 3, Stage.REJECTED, NOW, "why")
    assert filled.repair(NOW) == (f"finished the install of hex8_2p {nets[2].sha256[:16]}",)
    assert filled.production(KEY).version == 3
    assert filled.check() == ()


def test_a_disk_that_changes_what_is_written_is_noticed_before_the_file_takes_its_name(filled, nets, monkeypatch):
    monkeypatch.setattr(model_files, "write_whole", lambda path, content: path.write_bytes(content[:-1] + b"?"))
    with pytest.raises(StorageError, match="reads back"):
        filled.install(KEY, 3, NOW, REASON)
    monkeypatch.undo()
    assert digests(filled) == (nets[1].sha256, nets[0].sha256)
    assert filled.check() == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="SKIPPED LOUDLY: root may write into every folder")
def test_a_folder_that_is_read_only_is_a_storage_error(filled, nets):
    for folder in (filled.files.root, filled.files.versions):
        folder.chmod(0o555)
    with pytest.raises(StorageError, match="writable"):
        filled.register(nets[3].path, NOW)
    for folder in (filled.files.root, filled.files.versions):
        folder.chmod(0o755)
    assert filled.check() == ()


def test_a_root_that_is_a_file_is_a_storage_error(tmp_path, nets):
    (tmp_path / "models").write_text("no folder")
    with pytest.raises(StorageError, match="choose another folder"):
        ModelRegistry(tmp_path / "models").register(nets[0].path, NOW)


# ---- the index as a file ----


@pytest.mark.parametrize("content", [b"", b"no database, though long enough to be one" * 50])
def test_an_index_that_is_no_database_says_what_to_do_and_is_made_anew(filled, nets, content):
    index = filled.files.root / "registry.sqlite"
    index.write_bytes(content)
    for call in (lambda: filled.versions(KEY), lambda: filled.register(nets[3].path, NOW), filled.check):
        with pytest.raises(StorageError, match=r"registry\.sqlite.*move it away.*repair"):
            call()
    index.rename(index.with_name("away"))
    done = filled.repair(NOW)
    assert [version.sha256 for version in filled.versions(KEY)] == [net.sha256 for net in nets[:3]]
    assert filled.production(KEY).sha256 == nets[1].sha256
    assert len(done) == 4
    assert filled.check() == ()


def test_an_index_whose_pages_are_overwritten_is_no_answer(filled):
    index = filled.files.root / "registry.sqlite"
    content = bytearray(index.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    index.write_bytes(content)
    with pytest.raises(StorageError, match="move it away"):
        filled.versions(KEY)


def test_a_database_of_another_program_or_of_a_later_version_is_refused_untouched(filled):
    index = filled.files.root / "registry.sqlite"
    execute(filled, "PRAGMA user_version = 2")
    with pytest.raises(StorageError, match="of version 2, this program reads version 1"):
        filled.versions(KEY)
    index.unlink()
    execute(filled, "CREATE TABLE recipes (name TEXT)")
    before = index.read_bytes()
    with pytest.raises(StorageError, match="another program"):
        filled.repair(NOW)
    assert index.read_bytes() == before


def test_values_in_the_index_that_no_registry_writes_are_a_storage_error(filled):
    execute(filled, "UPDATE versions SET stage = 'elsewhere' WHERE version = 1")
    with pytest.raises(StorageError, match="elsewhere"):
        filled.versions(KEY)


def test_a_write_ahead_log_without_its_index_is_not_taken_over(filled):
    index = filled.files.root / "registry.sqlite"
    index.unlink()
    index.with_name("registry.sqlite-wal").write_bytes(b"old")
    with pytest.raises(StorageError, match="move that away too"):
        filled.repair(NOW)


# ---- checking and repairing ----


def test_an_unexpected_canonical_file_is_reported_and_never_overwritten(filled, nets):
    canonical = filled.files.canonical(KEY)
    canonical.write_bytes(b"put there by hand")
    assert faults(filled) == [Fault.UNEXPECTED_CANONICAL]
    assert filled.repair(NOW) == ()
    assert canonical.read_bytes() == b"put there by hand"
    filled.install(KEY, 2, NOW, "the right one again")
    assert filled.check() == ()
    assert filled.files.backup(KEY).read_bytes() == b"put there by hand"


def test_what_is_missing_is_found_and_made_again(filled, nets):
    filled.files.canonical(KEY).unlink()
    assert faults(filled) == [Fault.MISSING_CANONICAL, Fault.DANGLING_LINK]
    assert filled.repair(NOW) == ("made canonical_hex8_2p.pth again",)
    filled.files.link(KEY).unlink()
    filled.files.link(KEY).symlink_to("nowhere.pth")
    assert faults(filled) == [Fault.DANGLING_LINK]
    assert filled.repair(NOW) == ("made ringrift_best_hex8_2p.pth again",)
    filled.files.blob(nets[1].sha256).unlink()
    assert faults(filled) == [Fault.MISSING_BLOB]
    filled.repair(NOW)
    assert filled.check() == ()


def test_leftovers_and_unknown_files_are_found(filled, nets):
    (filled.files.versions / ".tmp-half").write_bytes(b"half")
    (filled.files.versions / "readme.txt").write_bytes(b"?")
    (filled.files.versions / f"{nets[3].sha256}.pth").write_bytes(nets[3].path.read_bytes())
    assert sorted(fault.name for fault in faults(filled)) == ["LEFTOVER", "UNKNOWN_BLOB", "UNKNOWN_BLOB"]
    done = filled.repair(NOW)
    assert done[0] == f"indexed {nets[3].sha256[:16]} as hex8_2p version 4"
    assert done[1] == "removed .tmp-half, left by a killed writer"
    assert faults(filled) == [Fault.UNKNOWN_BLOB], "the text is nobody's net and stays"


def test_an_interrupted_install_whose_file_is_lost_is_given_up(filled, nets):
    execute(
        filled, "INSERT INTO installs VALUES ('hex8_2p', ?, '2026-01-01T00:00:00.000000+00:00', 'x', 0)", nets[2].sha256
    )
    filled.files.blob(nets[2].sha256).unlink()
    (done,) = filled.repair(NOW)
    assert done.startswith(f"gave up the install of hex8_2p {nets[2].sha256[:16]}: ")
    assert filled.production(KEY).version == 2
    assert faults(filled) == [Fault.MISSING_BLOB]


def test_an_interrupted_install_whose_file_is_lost_does_not_stand_in_the_way(filled, nets):
    execute(
        filled, "INSERT INTO installs VALUES ('hex8_2p', ?, '2026-01-01T00:00:00.000000+00:00', 'x', 0)", nets[2].sha256
    )
    filled.files.blob(nets[2].sha256).unlink()
    assert filled.install(KEY, 1, NOW, REASON).stage is Stage.PRODUCTION
    assert faults(filled) == [Fault.MISSING_BLOB]


def test_readers_do_not_wait_for_a_writer_and_see_what_was_before(filled):
    with closing(sqlite3.connect(filled.files.root / "registry.sqlite", isolation_level=None)) as writer:
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("UPDATE versions SET stage = 'rejected'")
        assert filled.production(KEY).version == 2


def test_the_registry_is_imported_without_torch():
    program = "import sys, ringrift_core.registry; print(sorted(n for n in ('torch', 'asyncio') if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "torch" not in json.loads(done.stdout.replace("'", '"'))
