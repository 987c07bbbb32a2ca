"""Nets that people bring: files below `models/` only, of the right game, read in another process."""

import asyncio
import sys
from pathlib import Path

import pytest

from managers.net_intake import NetIntake, resolved
from managers.node_folder import NodeFolder
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry
from ringrift_core.registry.admission import AdmittedNet, admit, described
from tests.unit.managers.verdicts import BEGAN, KEY
from tests.unit.registry.nets import NOW, saved_net

OTHER = ConfigKey.parse("hex8_3p")
NEVER = (sys.executable, "-c", "raise SystemExit('a process was started')")


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    (tmp_path / "node" / "models" / "backup").mkdir(parents=True)
    return NodeFolder(tmp_path / "node")


def admitted(
    folder: NodeFolder, path: str, key: ConfigKey = KEY, command: tuple[str, ...] | None = None
) -> AdmittedNet:
    intake = NetIntake(folder, lambda: BEGAN) if command is None else NetIntake(folder, lambda: BEGAN, command)
    return asyncio.run(intake.admit(path, key))


@pytest.mark.parametrize("text", ["models/a.pth", "a.pth", "models/backup/../a.pth", "{models}/a.pth"])
def test_a_file_below_models_is_found_by_every_way_of_writing_it(folder, text):
    (folder.models / "a.pth").write_bytes(b"")
    assert resolved(folder, text.format(models=folder.models)) == folder.models / "a.pth"


@pytest.mark.parametrize(
    "text",
    [
        "../secret.pth",
        "models/../../secret.pth",
        "/etc/passwd",
        "models",
        ".",
        "models/link.pth",
        "",
        " ",
        "a\0b",
        "a" * 9999,
        "\ud800",
    ],
)
def test_nothing_outside_models_is_ever_read(folder, tmp_path, text):
    (tmp_path / "secret.pth").write_bytes(b"")
    (folder.models / "link.pth").symlink_to(tmp_path / "secret.pth")
    with pytest.raises(RulesError):
        resolved(folder, text)


def test_a_circle_of_links_and_a_missing_file_are_errors(folder):
    (folder.models / "circle.pth").symlink_to(folder.models / "circle.pth")
    for name in ("circle.pth", "missing.pth", "backup"):
        with pytest.raises((RulesError, StorageError)):
            resolved(folder, name)


def test_a_new_net_is_registered_by_a_child_process(folder):
    net = saved_net(folder.models, 7, parent="a" * 64)
    found = admitted(folder, net.path.name)
    assert (found.sha256, found.version, found.parent, found.rules_digest) == (
        net.sha256, 7, "a" * 64, Game.RULES_DIGEST,
    )  # fmt: skip
    assert ModelRegistry(folder.models).find(net.sha256).key == KEY


def test_a_net_that_is_known_is_not_read_again(folder):
    net = saved_net(folder.models, 1)
    admit(folder.models, net.path, KEY, NOW)
    assert admitted(folder, net.path.name, command=NEVER).sha256 == net.sha256


def test_the_net_of_another_game_is_refused_and_not_registered(folder):
    net = saved_net(folder.models, 1)
    with pytest.raises(StorageError, match="hex8_3p"):
        admit(folder.models, net.path, OTHER, NOW)
    assert ModelRegistry(folder.models).versions(KEY) == ()
    admit(folder.models, net.path, KEY, NOW)
    with pytest.raises(RulesError, match="holds a net of hex8_2p, not of hex8_3p"):
        admitted(folder, net.path.name, OTHER, NEVER)


def test_a_reader_that_fails_is_told_by_its_last_line(folder):
    (folder.models / "a.pth").write_bytes(b"no net")
    with pytest.raises(StorageError, match="a process was started"):
        admitted(folder, "a.pth", command=NEVER)
    with pytest.raises(StorageError, match="nothing that makes sense"):
        admitted(folder, "a.pth", command=(sys.executable, "-c", "print('{}')"))
    with pytest.raises(StorageError, match="no process could be started"):
        admitted(folder, "a.pth", command=(str(folder.root / "nowhere"),))


def test_one_net_is_read_at_a_time(folder):
    """Else some requests take all threads of the loop for minutes, and the machine's memory."""
    (folder.models / "a.pth").write_bytes(b"no net")
    most = asyncio.run(_most_at_once(folder, 4))
    assert most == 1


async def _most_at_once(folder: NodeFolder, requests: int) -> int:
    now = most = 0

    class Counting(NetIntake):
        def _admit(self, model_path: str, key: ConfigKey) -> AdmittedNet:
            nonlocal now, most
            now += 1
            most = max(most, now)
            try:
                return super()._admit(model_path, key)
            finally:
                now -= 1

    intake = Counting(folder, lambda: BEGAN, NEVER)
    await asyncio.gather(*(intake.admit("a.pth", KEY) for _ in range(requests)), return_exceptions=True)
    return most


def test_what_a_net_says_of_itself_counts_only_where_it_makes_sense(folder):
    from dataclasses import replace

    version = ModelRegistry(folder.models).register(saved_net(folder.models, 1).path, NOW)
    sound = replace(version, data={"evaluations": 5}, train={"samples_total": 6}, parent="b" * 64)
    assert (described(sound).evaluations, described(sound).samples_total, described(sound).parent) == (5, 6, "b" * 64)
    strange = replace(version, data={"evaluations": -1}, train={"samples_total": "6"}, parent="me", label=-3)
    found = described(strange)
    assert (found.evaluations, found.samples_total, found.parent, found.version) == (0, 0, None, 0)
