"""`ringrift shards`: ls, check, show."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from p2p.cli.main import app
from ringrift_core.commands.shards import check_shards, list_shards, show_shard
from ringrift_core.errors import StorageError
from ringrift_core.game import Game
from ringrift_core.selfplay.shard import write_shard
from tests.played_games import edited_manifest, played_games, shard_head


@pytest.fixture
def path(tmp_path) -> Path:
    return write_shard(tmp_path, played_games(count=3), shard_head())


def lines_of(call, *given, **options) -> list[str]:
    lines: list[str] = []
    call(*given, lines.append, **options)
    return "\n".join(lines).splitlines()


def test_ls_shows_shards_and_bad_manifests(path):
    (path.parent / "f000000000000000.json").write_text("{")
    (path.parent / "package.json").write_text("{}")  # somebody else's
    (path.parent / "alone.npz").write_bytes(b"")
    lines = lines_of(list_shards, path.parent, 1e12, as_json=False)
    assert lines[0].split() == ["name", "game", "games", "samples", "players", "bytes", "created"]
    assert lines[1].split()[:3] == [path.stem, "hex8_2p", "3"]
    assert lines[2].startswith("f000000000000000  BAD: ")
    assert "left by a killed writer" in lines[3]
    assert lines[4].startswith("shards=1 games=3 samples=")
    form = json.loads(lines_of(list_shards, path.parent, 1e12, as_json=True)[0])
    assert {row["name"]: row.get("games") for row in form["shards"]} == {path.stem: 3, "f000000000000000": None}
    assert form["leftovers"] == [str(path.parent / "alone.npz")]
    path.unlink()
    assert "there is no such file" in lines_of(list_shards, path.parent, 0.0, as_json=False)[1]


def test_check_says_what_is_wrong_and_moves_it_away(path):
    for ending in (".npz", ".json"):
        shutil.copy(path.with_suffix(ending), path.with_name("copy" + ending))
    lines: list[str] = []
    assert check_shards([path], 0.0, lines.append, move=False, as_json=False) == 0
    assert lines[-1] == "shards=1 games=3 wrong=0"
    assert check_shards([path.parent], 0.0, lines.append, move=True, as_json=False) == 1
    assert lines[-1] == "shards=2 games=3 wrong=1"
    assert any(line.startswith("BAD (duplicate)") and path.stem in line for line in lines)
    edited_manifest(path, lambda form: form.update(rules_digest="0" * 64))
    assert check_shards([path], 0.0, lines.append, move=True, as_json=True) == 1
    report = json.loads(lines[-1])
    assert report["wrong"] == 1
    assert report["shards"][0]["fault"] == "foreign rules"
    assert Path(report["shards"][0]["quarantined"]).exists()
    with pytest.raises(StorageError, match="no shard in"):
        check_shards([path.parent], 0.0, lines.append, move=False, as_json=False)


def test_show_plays_a_game_and_marks_its_targets(path):
    played = played_games(count=3)[1]
    form = json.loads(lines_of(show_shard, path, 1, as_json=True)[0])
    assert [choice["id"] for choice in form["choices"]] == played.choices.tolist()
    full = [choice for choice in form["choices"] if "full" in choice["flags"]]
    assert len(full) == len(played.targets)
    assert all(choice["targets"] for choice in full)
    for choice, target in zip(full, played.targets, strict=True):
        assert choice["targets"][0][1] == pytest.approx(target.max(), abs=0.03)
    game = Game.start("hex8_2p")
    for ply in [*form["forced_before"], *(ply for choice in form["choices"] for ply in choice["plies"])]:
        game.play(ply)
    assert f"{game.hash():016x}" == form["hash"]
    text = lines_of(show_shard, path, 1, as_json=False)
    assert text[0].startswith(f"hex8_2p, game 1 of {path.stem}")
    assert sum("full" in line for line in text) == len(full)
    assert f"won by {played.ending.reason}" in text[-1]
    manifest = json.loads("\n".join(lines_of(show_shard, path, None, as_json=False)))
    assert manifest["counts"]["games"] == 3
    with pytest.raises(StorageError, match="their numbers are 0 to 2"):
        show_shard(path, 3, print, as_json=False)


def test_the_commands_are_there(path):
    runner = CliRunner()
    assert path.stem in runner.invoke(app, ["shards", "ls", str(path.parent)]).output
    assert runner.invoke(app, ["shards", "check", str(path.parent), "--json"]).exit_code == 0
    assert runner.invoke(app, ["shards", "show", str(path), "0"]).exit_code == 0
    path.write_bytes(b"")
    assert runner.invoke(app, ["shards", "check", str(path)]).exit_code == 1


def test_checking_what_is_not_there_is_an_error_and_no_verdict(tmp_path: Path):
    with pytest.raises(StorageError, match="no such folder or shard"):
        check_shards([tmp_path / "nowhere"], 0.0, print, move=False, as_json=False)
