"""`ringrift show`."""

import json
from pathlib import Path

import pytest

from ringrift_core.commands.show import show, split_target
from ringrift_core.errors import RulesError, StorageError

PARITY = Path(__file__).parents[2] / "conformance" / "parity" / "hex8-2p.jsonl.gz"


def test_a_recorded_game_is_shown_at_any_ply(tmp_path):
    start = show(f"{PARITY}:hex8-2p-pub-000:0", None)
    assert "turn 1, ply 0, ring_placement" in start
    assert "ply 5" in show(f"{PARITY}:hex8-2p-pub-000:5", None)
    assert "won by" in show(f"{PARITY}:hex8-2p-pub-000", None)
    picture = tmp_path / "new" / "a.svg"
    assert str(picture) in show(f"{PARITY}::20", str(picture))
    assert picture.read_text().startswith("<svg")
    assert show(f"{PARITY}::20", "-") == picture.read_text()


def test_a_colon_may_be_part_of_the_file_name(tmp_path):
    path = tmp_path / "a:b.json"
    path.write_text(json.dumps({"id": "x:y", "bd": "hex8", "n": 2, "plies": []}))
    assert split_target(str(path)) == (path, None, None)
    assert split_target(f"{path}:x") == (path, "x", None)
    assert split_target(f"{path}:x:0") == (path, "x", 0)


@pytest.mark.parametrize(
    ("suffix", "error", "message"),
    [
        (":nobody", StorageError, "holds no game 'nobody'; it holds hex8-2p-pub-000, .* and 61 more"),
        ("::999999", RulesError, "there is no position after ply 999999"),
        ("::x", RulesError, "'x' is not the number of a ply"),
        ("::-1", RulesError, "'-1' is not the number of a ply"),
        ("/nowhere", StorageError, "there is no such file"),
    ],
)
def test_what_is_not_there_is_said(suffix, error, message):
    with pytest.raises(error, match=message):
        show(f"{PARITY}{suffix}", None)


def test_an_illegal_record_is_refused_with_the_ply(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({"bd": "hex8", "n": 2, "plies": ["P 0,0 1", "M 0,0>1,1"]}))
    with pytest.raises(RulesError, match="ply 2: 'M 0,0>1,1' is not legal: the two cells are not on one ray"):
        show(str(path), None)
    path.write_text(json.dumps({"bd": "hex8", "n": 2, "plies": [7]}))
    with pytest.raises(RulesError, match="ply 1: neither a ply text nor"):
        show(str(path), None)


def test_a_picture_that_cannot_be_written_is_an_error():
    with pytest.raises(StorageError, match="cannot write the picture"):
        show(str(PARITY), "/proc/nowhere/a.svg")
