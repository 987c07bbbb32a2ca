"""The recorded games of the reference engine: every ply of every file, and proof that a wrong one is noticed."""

import copy
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringrift_core.commands.verify_traces import RAW, verify_file, verify_game, verify_traces
from ringrift_core.commands.verify_vectors import verify_vectors
from ringrift_core.errors import RingriftError, StorageError
from ringrift_core.game.record import read_records

PARITY = Path(__file__).parent / "parity"
ROOT = Path(__file__).parents[2]
FILES = sorted(path for path in PARITY.glob("*.jsonl.gz") if RAW not in path.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_every_recorded_ply_is_played_like_the_reference(path: Path):
    tally, first = verify_file(path)
    assert first == ""
    assert tally.games >= 4
    assert tally.plies > 2000


def test_raw_recordings_are_skipped_with_a_note():
    lines: list[str] = []
    with pytest.raises(StorageError, match="no game was verified"):
        verify_traces([PARITY / "hex8-3p-raw.jsonl.gz"], lines.append)
    assert "skipped" in lines[0]


def first_game(name: str) -> dict[str, Any]:
    return next(record for _, record in read_records(PARITY / f"{name}.jsonl.gz"))


def drop_a_legal_ply(record: dict[str, Any]) -> None:
    ply = record["plies"][40]
    ply["l"].pop(ply["i"] - 1 if ply["i"] else len(ply["l"]) - 1)
    ply["i"] = max(ply["i"] - 1, 0)


def invent_a_legal_ply(record: dict[str, Any]) -> None:
    record["plies"][40]["l"] = sorted([*record["plies"][40]["l"], "ZZ"])


def repeat_a_legal_ply(record: dict[str, Any]) -> None:
    record["plies"][40]["l"].append(record["plies"][40]["l"][-1])


def change_a_hand(record: dict[str, Any]) -> None:
    record["plies"][30]["a"]["h"][0] += 1


def change_a_marker(record: dict[str, Any]) -> None:
    markers = record["plies"][60]["a"]["m"]
    cell = next(iter(markers))
    markers[cell] = 3 - markers[cell]


def change_a_ring(record: dict[str, Any]) -> None:
    stacks = record["plies"][60]["a"]["s"]
    cell = next(iter(stacks))
    stacks[cell] = stacks[cell][:-1] + ("1" if stacks[cell][-1] == "2" else "2")


def drop_the_must_move_cell(record: dict[str, Any]) -> None:
    next(ply for ply in record["plies"] if "mm" in ply["a"])["a"].pop("mm")


def invent_a_flag(record: dict[str, Any]) -> None:
    record["plies"][5]["a"]["rt"] = 1


def play_another_ply(record: dict[str, Any]) -> None:
    record["plies"][0]["i"] += 1


def change_the_player(record: dict[str, Any]) -> None:
    record["plies"][20]["p"] = 3 - record["plies"][20]["p"]


def change_the_phase(record: dict[str, Any]) -> None:
    record["plies"][20]["f"] = "fe"


def change_the_winner(record: dict[str, Any]) -> None:
    record["end"]["w"] = 3 - record["end"]["w"]


def change_a_rank(record: dict[str, Any]) -> None:
    record["end"]["rk"] = record["end"]["rk"][::-1]


def change_the_reason(record: dict[str, Any]) -> None:
    record["end"]["r"] = "lps_early" if record["end"]["r"] != "lps_early" else "ring"


def change_a_ranking_value(record: dict[str, Any]) -> None:
    record["end"]["sc"]["m"][0] += 1


def cut_the_game_short(record: dict[str, Any]) -> None:
    record["plies"].pop()


def change_the_turn_count(record: dict[str, Any]) -> None:
    record["end"]["tn"] += 1


def take_the_swap_option_away(record: dict[str, Any]) -> None:
    record["sw"] = 0


def lose_the_end(record: dict[str, Any]) -> None:
    record["end"] = None


MUTATIONS: list[Callable[[dict[str, Any]], None]] = [
    drop_a_legal_ply, invent_a_legal_ply, repeat_a_legal_ply, change_a_hand, change_a_marker, change_a_ring,
    drop_the_must_move_cell, invent_a_flag, play_another_ply, change_the_player, change_the_phase, change_the_winner,
    change_a_rank, change_the_reason, change_a_ranking_value, cut_the_game_short, change_the_turn_count,
    take_the_swap_option_away, lose_the_end,
]  # fmt: skip


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_mutated_recording_is_refused(mutate: Callable[[dict[str, Any]], None]):
    record = copy.deepcopy(first_game("square8-2p"))
    assert verify_game(record) > 100
    mutate(record)
    with pytest.raises(RingriftError):
        verify_game(record)


@pytest.mark.parametrize("change", [{"sc": None}, {"w": 1}, {"r": "ring"}, {"n": 1}])
def test_the_end_of_a_truncated_recording_is_checked_too(change: dict[str, Any]):
    records = (record for _, record in read_records(PARITY / "hex8-3p-scn.jsonl.gz"))
    record = next(record for record in records if record["end"]["r"] == "truncated")
    assert verify_game(record) == 80
    record["end"] |= change
    with pytest.raises(RingriftError, match="end: "):
        verify_game(record)


def test_a_mismatch_is_reported_with_its_place_and_exit_code(tmp_path: Path):
    record = first_game("square8-2p")
    change_a_hand(record)
    path = tmp_path / "changed.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(record).encode() + b"\n"))
    lines: list[str] = []
    assert verify_traces([tmp_path], lines.append) == 1
    assert lines[-1] == "games=1 plies=0 mismatches=1"
    assert "changed.jsonl.gz:1: square8-2p-pub-000: ply 31: state after" in lines[1]
    assert "h: recorded" in lines[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not json\n", ":1: not JSON"),
        (b"[1, 2]\n", ":1: a game must be a JSON object"),
        (b'{"bd": "hex9", "n": 2}\n', "there is no board type 'hex9'"),
        (b'{"bd": "hex8", "n": 5}\n', "2, 3 or 4 players"),
        (b'{"bd": "hex8"}\n', "needs bd"),
        (b'{"bd": "hex8", "n": 2, "sw": 1, "plies": 7, "end": {}}\n', "plies: must be a list"),
        (b'{"bd": "hex8", "n": 2, "sw": 1, "plies": [7], "end": {}}\n', "ply 1: not an object"),
        (b'{"bd": "hex8", "n": 2, "init": {"s": {"0,0": "13"}}}\n', "state: 'h' must be a list of 2 counts"),
        (b"\xff\xfe\n", "damaged"),
    ],
)
def test_a_corrupt_file_is_a_mismatch_with_its_position(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "corrupt.jsonl"
    path.write_bytes(content)
    tally, first = verify_file(path)
    assert tally.mismatches == 1
    assert message in first


def test_a_truncated_archive_is_a_mismatch(tmp_path: Path):
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes((PARITY / "square8-2p-scn.jsonl.gz").read_bytes()[:20_000])
    tally, first = verify_file(path)
    assert tally.mismatches == 1
    assert "damaged after line" in first


FLIP = "        else:\n            take_marker(s, cell)\n            put_marker(s, cell, seat)\n"
PLANTED = {  # name -> file of the rules, right text, wrong text
    "passed markers are not flipped": ("movement.py", FLIP, ""),
    "moves may be shorter than the stack is high": (
        "movement.py",
        "range(start + tall - 1, block)",
        "range(start, block)",
    ),
    "landing on a marker is free": ("movement.py", "    if on_marker:  # R092", "    if False:  # R092"),
    "caps do not matter for captures": ("movement.py", " and cap(g, s, target) <= capped", ""),
    "dead placements are allowed": ("placement.py", "if free or can_act(g, s, cell, count, count):", "if True:"),
    "the last-player count needs two rounds": ("layout.py", "\nLPS_ROUNDS = 3", "\nLPS_ROUNDS = 2"),
    "border markers stay": ("territory.py", "    for i in range(size, end):\n", "    for i in range(end, end):\n"),
    "the colour test is gone": ("territory.py", "if here >= present or", "if"),
    "a line costs nothing": ("turn.py", "if costs_ring and", "if False and"),
    "only one ring pays for a region": (
        "phases.py",
        "eliminate_cap(g, s, cell)  # R145",
        "eliminate_top(g, s, cell)  # R145",
    ),
    "the top ring is extracted": ("stacks.py", "    if over_lowest == at.NONE:\n", "    if True:\n"),
    "a stalemate ignores hands": ("outcome.py", "leader(s, at.ELIMINATED, True)", "leader(s, at.ELIMINATED, False)"),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_rule_bug_is_noticed(bug: str, tmp_path: Path):
    """The shipped source with one rule broken, uncompiled, on scenario recordings."""
    name, right, wrong = PLANTED[bug]
    for package in ("config", "ringrift_core", "p2p"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    source = tmp_path / "ringrift_core" / "game" / "rules" / name
    text = source.read_text()
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong))
    done = subprocess.run(
        [sys.executable, "-c", "from p2p.cli.main import main; main()", "verify-traces"]
        + [str(PARITY / f"{file}.jsonl.gz") for file in ("square8-3p-scn", "hex8-4p-scn")],
        cwd=tmp_path,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = re.fullmatch(r"games=\d+ plies=\d+ mismatches=(\d+)", done.stdout.splitlines()[-1])
    assert found is not None
    assert int(found[1]) > 0


def test_the_scenario_vectors_hold():
    """They are not part of this repository: RINGRIFT_VECTORS names their folder."""
    folder = os.environ.get("RINGRIFT_VECTORS")
    if not folder:
        pytest.skip("RINGRIFT_VECTORS is not set: the reference's scenario vectors are NOT checked")
    lines: list[str] = []
    assert verify_vectors([Path(folder)], lines.append) == 0, "\n".join(lines)
