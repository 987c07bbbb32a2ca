"""`ringrift verify-vectors` on vectors made here, in the reference's form."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ringrift_core.commands.verify_vectors import verify_vectors
from ringrift_core.errors import StorageError

CAPTURE: dict[str, Any] = {
    "id": "own.capture",
    "input": {
        "state": {
            "board": {
                "type": "hex8",
                "stacks": {
                    "0,0,0": {"rings": [1, 1], "stackHeight": 2, "capHeight": 2, "controllingPlayer": 1},
                    "1,0,-1": {"rings": [2], "stackHeight": 1, "capHeight": 1, "controllingPlayer": 2},
                },
                "markers": {"-1,0,1": {"player": 2}},
                "collapsedSpaces": {"4,0,-4": 2},
            },
            "players": [
                {"playerNumber": 1, "ringsInHand": 16, "eliminatedRings": 0, "territorySpaces": 0},
                {"playerNumber": 2, "ringsInHand": 17, "eliminatedRings": 0, "territorySpaces": 1},
            ],
            "currentPlayer": 1,
            "currentPhase": "movement",
        },
        "move": {
            "type": "overtaking_capture",
            "player": 1,
            "from": {"x": 0, "y": 0, "z": 0},
            "captureTarget": {"x": 1, "y": 0, "z": -1},
            "to": {"x": 3, "y": 0, "z": -3},
        },
    },
    "expectedOutput": {
        "status": "complete",
        "assertions": {
            "currentPlayer": 2,
            "currentPhase": "ring_placement",
            "stackCount": 1,
            "markerCount": 2,
            "collapsedCount": 1,
            "finalStackHeight": 3,
            "finalStackController": 1,
            "totalCapturesInChain": 1,
            "targetStacksRemaining": 0,
            "player1RingsInHand": 16,
        },
    },
}


def run(tmp_path: Path, vector: dict[str, Any], status: str | None = None) -> tuple[int, list[str]]:
    (tmp_path / "own.vectors.json").write_text(json.dumps({"vectors": [vector]}))
    if status is not None:
        (tmp_path / "ts-status.json").write_text(json.dumps({vector["id"]: {"ts": status}}))
    lines: list[str] = []
    return verify_vectors([tmp_path], lines.append), lines


@pytest.mark.parametrize("status", [None, "after-bookkeeping"])
def test_a_vector_passes_after_the_bookkeeping(tmp_path, status):
    code, lines = run(tmp_path, CAPTURE, status)
    assert (code, lines[-1]) == (0, "vectors=1 passed=1 skipped=0 mismatches=0")


@pytest.mark.parametrize("status", ["rejected: not your turn", "chain-illegal"])
def test_what_the_reference_refuses_is_skipped(tmp_path, status):
    code, lines = run(tmp_path, CAPTURE, status)
    assert (code, lines[-1]) == (0, "vectors=1 passed=0 skipped=1 mismatches=0")


@pytest.mark.parametrize("status", ["immediate", "immediate-only: not after the turn"])
def test_immediate_assertions_are_checked_right_after_the_move(tmp_path, status):
    code, lines = run(tmp_path, CAPTURE, status)
    assert code == 1
    assert "currentPhase: expected 'ring_placement', computed 'line_processing'" in lines[1]


@pytest.mark.parametrize("key", list(CAPTURE["expectedOutput"]["assertions"]))
def test_each_changed_assertion_is_noticed(tmp_path, key):
    vector = copy.deepcopy(CAPTURE)
    value = vector["expectedOutput"]["assertions"][key]
    vector["expectedOutput"]["assertions"][key] = "capture" if isinstance(value, str) else value + 1
    code, lines = run(tmp_path, vector)
    assert code == 1
    assert key in lines[1]


def test_an_assertion_that_is_not_known_is_reported_as_unchecked(tmp_path):
    vector = copy.deepcopy(CAPTURE)
    vector["expectedOutput"]["assertions"]["sInvariantDelta"] = 7
    code, lines = run(tmp_path, vector)
    assert code == 0
    assert "not checked: sInvariantDelta" in lines[0]


@pytest.mark.parametrize(("threshold", "winner"), [(4, 1), (5, None)])
def test_a_threshold_of_the_state_stands_in_for_the_normal_one(tmp_path, threshold, winner):
    """The capture lands on a marker: the fourth eliminated ring."""
    vector = copy.deepcopy(CAPTURE)
    state = vector["input"]["state"]
    state["victoryThreshold"] = threshold
    state["players"][0]["eliminatedRings"] = 3
    state["board"]["markers"]["3,0,-3"] = {"player": 2}
    vector["expectedOutput"]["assertions"] = {"victoryWinner": winner, "player1EliminatedRings": 4}
    assert run(tmp_path, vector, "after-bookkeeping")[0] == 0
    vector["expectedOutput"]["assertions"]["victoryWinner"] = 2
    assert run(tmp_path, vector, "after-bookkeeping")[0] == 1


@pytest.mark.parametrize(("threshold", "winner"), [(2, 2), (3, None)])
def test_so_does_a_territory_threshold(tmp_path, threshold, winner):
    vector = copy.deepcopy(CAPTURE)
    state = vector["input"]["state"]
    state["territoryVictoryThreshold"] = threshold
    state["players"][1]["territorySpaces"] = 2
    state["board"]["collapsedSpaces"]["4,-1,-3"] = 2
    vector["expectedOutput"]["assertions"] = {"victoryWinner": winner, "player2TerritorySpaces": 2}
    assert run(tmp_path, vector, "after-bookkeeping")[0] == 0


def test_an_effect_without_legality_is_counted_as_such(tmp_path):
    """A landing nearer than the stack is high: the reference applies it, the rules forbid it."""
    vector = copy.deepcopy(CAPTURE)
    vector["input"]["state"]["board"]["stacks"]["0,0,0"]["rings"] = [1, 1, 1]
    vector["input"]["move"]["to"] = {"x": 2, "y": 0, "z": -2}
    vector["expectedOutput"]["assertions"] = {"stackCount": 1, "finalStackHeight": 4}
    code, lines = run(tmp_path, vector, "immediate")
    assert code == 0
    assert "1 of the passed are effects of moves that are not legal" in lines[0]


def test_a_chain_is_played_to_its_end(tmp_path):
    vector = copy.deepcopy(CAPTURE)
    vector["input"]["state"]["board"]["stacks"]["3,-1,-2"] = {"rings": [2]}
    vector["input"]["initialMove"] = vector["input"].pop("move")
    vector["input"]["expectedChainSequence"] = [
        {"from": {"x": 3, "y": 0}, "captureTarget": {"x": 3, "y": -1}, "landing": {"x": 3, "y": -3}}
    ]
    vector["expectedOutput"]["assertions"] = {
        "totalCapturesInChain": 2,
        "finalStackHeight": 4,
        "finalStackController": 1,
        "targetStacksRemaining": 0,
    }
    assert run(tmp_path, vector, "chain-ok")[0] == 0
    vector["input"]["expectedChainSequence"][0]["landing"] = {"x": 3, "y": -2}
    assert run(tmp_path, vector, "chain-ok")[0] == 0  # nearer than its height: an effect only, same stack
    vector["input"]["expectedChainSequence"][0]["captureTarget"] = {"x": 2, "y": -1}
    assert run(tmp_path, vector, "chain-ok")[0] == 1


@pytest.mark.parametrize("content", ["[]", "{}", "not json", '{"vectors": 3}'])
def test_a_file_that_holds_no_vectors_is_refused(tmp_path, content):
    (tmp_path / "bad.vectors.json").write_text(content)
    with pytest.raises(StorageError, match=r"bad\.vectors\.json"):
        verify_vectors([tmp_path], print)


def test_a_vector_with_missing_parts_is_a_mismatch(tmp_path):
    code, lines = run(tmp_path, {"id": "empty", "input": {}})
    assert code == 1
    assert "KeyError" in lines[1]


def test_a_folder_without_vectors_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"no files ending in \.vectors\.json"):
        verify_vectors([tmp_path], print)
    with pytest.raises(StorageError, match="no such file or folder"):
        verify_vectors([tmp_path / "nowhere"], print)
