"""The canonical files follow the champions; what a person put there is reported and left alone for a while."""

import json
from pathlib import Path

import pytest

from config.schema import Settings
from config.sections import PromotionSettings
from managers.model_installer import PATIENCE_S, ModelInstaller
from managers.node_folder import NodeFolder
from managers.state.commands import RollBack
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.model_files import digest_of
from tests.full_disk import full_disk_at
from tests.unit.managers.verdicts import BEGAN, GAME, World
from tests.unit.registry.nets import NOW, SavedNet, family

KEY = ConfigKey.parse(GAME)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> list[SavedNet]:
    return family(tmp_path_factory.mktemp("nets"), 2)


@pytest.fixture
def world(nets: list[SavedNet]) -> World:
    world = World()
    world.champions(nets[0].sha256)
    return world


@pytest.fixture
def installer(tmp_path: Path, nets: list[SavedNet]) -> ModelInstaller:
    return installer_of(tmp_path, nets)


def installer_of(root: Path, nets: list[SavedNet], **promotion: object) -> ModelInstaller:
    settings = Settings(promotion=PromotionSettings.model_validate(promotion))
    installer = ModelInstaller(settings, NodeFolder(root))
    for net in nets:
        installer.registry.register(net.path, NOW)
    return installer


def canonical(installer: ModelInstaller) -> Path:
    return installer.registry.files.canonical(KEY)


def test_a_champion_is_installed_once(installer, world, nets):
    (finding,) = installer.install(world.state, BEGAN)
    assert (finding.game, finding.what, finding.sha256) == (GAME, "installed", nets[0].sha256)
    assert digest_of(canonical(installer)) == nets[0].sha256
    assert installer.install(world.state, BEGAN) == ()
    assert installer.check(world.state, BEGAN) == ()


def test_without_the_installer_there_is_no_canonical_file(installer, world):
    """The removal test: the state alone puts nothing into `models/`."""
    assert world.learner.champion is not None
    assert not canonical(installer).exists()


def test_a_flipped_byte_is_reported_at_once_left_for_a_while_and_then_made_good(installer, world, nets):
    installer.install(world.state, BEGAN)
    content = bytearray(canonical(installer).read_bytes())
    content[1000] ^= 1
    canonical(installer).write_bytes(content)
    strange = digest_of(canonical(installer))
    (finding,) = installer.check(world.state, BEGAN)
    assert (finding.what, finding.sha256) == ("damaged", strange)
    assert strange is not None
    assert strange[:16] in finding.text
    assert "installed again in 900 s" in finding.text
    assert installer.install(world.state, BEGAN) == ()
    (finding,) = installer.check(world.state, BEGAN + PATIENCE_S - 1)
    assert digest_of(canonical(installer)) == strange
    (finding,) = installer.check(world.state, BEGAN + PATIENCE_S)
    assert (finding.what, finding.sha256) == ("installed", nets[0].sha256)
    assert digest_of(canonical(installer)) == nets[0].sha256
    assert digest_of(installer.registry.files.backup(KEY)) == strange
    assert installer.check(world.state, BEGAN + PATIENCE_S) == ()


def test_a_strange_file_that_is_gone_again_is_forgotten(installer, world):
    installer.install(world.state, BEGAN)
    content = canonical(installer).read_bytes()
    canonical(installer).write_bytes(b"strange")
    installer.check(world.state, BEGAN)
    canonical(installer).write_bytes(content)
    assert installer.check(world.state, BEGAN + PATIENCE_S) == ()
    canonical(installer).write_bytes(b"strange")
    assert installer.check(world.state, BEGAN + PATIENCE_S)[0].what == "damaged"


def test_a_missing_file_is_reported_and_made_again(installer, world, nets):
    installer.install(world.state, BEGAN)
    canonical(installer).unlink()
    (finding,) = installer.check(world.state, BEGAN)
    assert (finding.what, finding.sha256) == ("damaged", None)
    assert "is missing" in finding.text
    assert installer.check(world.state, BEGAN + PATIENCE_S)[0].what == "installed"
    assert digest_of(canonical(installer)) == nets[0].sha256


def test_a_new_champion_replaces_a_strange_file_without_waiting(installer, world, nets):
    installer.install(world.state, BEGAN)
    canonical(installer).write_bytes(b"strange")
    installer.check(world.state, BEGAN)
    world.champions(nets[1].sha256)
    installer.install(world.state, BEGAN)
    assert digest_of(canonical(installer)) == nets[1].sha256
    assert installer.check(world.state, BEGAN + PATIENCE_S) == ()


def test_what_is_blocked_in_the_state_is_blocked_in_the_registry_and_the_champion_before_is_back(
    installer, world, nets
):
    world.champions(nets[1].sha256)
    installer.install(world.state, BEGAN)
    world.do(RollBack(game=GAME, expected=nets[1].sha256, to=nets[0].sha256, trigger="manual", reason="weak"))
    installer.install(world.state, BEGAN)
    assert installer.registry.blocked() == {nets[1].sha256: "weak"}
    assert digest_of(canonical(installer)) == nets[0].sha256


def test_the_history_is_a_file_newest_first_that_is_written_only_when_it_changes(tmp_path, installer, world, nets):
    path = tmp_path / "data" / "rollback_history.json"
    installer.install(world.state, BEGAN)
    assert not path.exists()
    for reason in ("first", "second"):
        world.now += 60
        world.champions(nets[1].sha256)
        world.do(RollBack(game=GAME, expected=nets[1].sha256, to=nets[0].sha256, trigger="manual", reason=reason))
    installer.install(world.state, world.now)
    rows = json.loads(path.read_text())
    assert [(row["reason"], row["from_version"], row["to_version"]) for row in rows] == [
        ("second", 2, 1),
        ("first", 2, 1),
    ]
    written = path.stat()
    installer.install(world.state, world.now)
    assert path.stat().st_ino == written.st_ino
    path.write_text("damaged")
    installer.install(world.state, world.now)
    assert len(json.loads(path.read_text())) == 2


def test_a_champion_that_nobody_has_here_is_a_finding(installer, world):
    world.champions("f" * 64)
    (finding,) = installer.install(world.state, BEGAN)
    assert (finding.what, finding.sha256) == ("missing", "f" * 64)
    assert "on no disk of this node" in finding.text


def test_a_full_disk_is_a_finding_and_the_next_look_succeeds(installer, world, nets, monkeypatch):
    with monkeypatch.context() as disk:
        full_disk_at(disk, 0)
        (finding,) = installer.install(world.state, BEGAN)
    assert finding.what == "failed"
    assert "free some space" in finding.text
    assert not canonical(installer).exists()
    assert installer.install(world.state, BEGAN)[0].what == "installed"
    assert digest_of(canonical(installer)) == nets[0].sha256


def test_a_history_that_cannot_be_written_is_a_finding_and_the_next_look_succeeds(
    tmp_path, installer, world, nets, monkeypatch
):
    installer.install(world.state, BEGAN)
    world.champions(nets[1].sha256)
    world.do(RollBack(game=GAME, expected=nets[1].sha256, to=nets[0].sha256, trigger="manual", reason="weak"))
    installer.registry.block(nets[1].sha256, "weak", NOW)
    with monkeypatch.context() as disk:
        full_disk_at(disk, 0)
        (finding,) = installer.install(world.state, BEGAN)
    assert finding.what == "failed"
    assert "rollback_history.json" in finding.text
    installer.install(world.state, BEGAN)
    assert (tmp_path / "data" / "rollback_history.json").exists()


def test_ringrift_sync_staging_copies_each_new_champion(tmp_path, world, nets):
    installer = installer_of(tmp_path, nets, sync_staging=True)
    installer.install(world.state, BEGAN)
    staged = tmp_path / "staging" / canonical(installer).name
    assert digest_of(staged) == nets[0].sha256
    elsewhere = installer_of(tmp_path / "b", nets, sync_staging=True, staging_dir=str(tmp_path / "there"))
    elsewhere.install(world.state, BEGAN)
    assert digest_of(tmp_path / "there" / staged.name) == nets[0].sha256


def test_without_sync_staging_nothing_is_copied(tmp_path, installer, world):
    installer.install(world.state, BEGAN)
    assert not (tmp_path / "staging").exists()


def test_a_staging_folder_that_cannot_be_written_is_said_and_tried_again(tmp_path, world, nets):
    installer = installer_of(tmp_path, nets, sync_staging=True)
    (tmp_path / "staging").write_text("in the way")
    assert [finding.what for finding in installer.install(world.state, BEGAN)] == ["installed", "failed"]
    assert digest_of(canonical(installer)) == nets[0].sha256
    (tmp_path / "staging").unlink()
    installer.install(world.state, BEGAN)
    assert digest_of(tmp_path / "staging" / canonical(installer).name) == nets[0].sha256
