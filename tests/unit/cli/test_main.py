"""The command line as a user types it: exit codes, errors on standard error, JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RINGRIFT = Path(sys.executable).parent / "ringrift"
PARITY = Path(__file__).parents[2] / "conformance" / "parity"


def ringrift(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([RINGRIFT, *arguments], input=typed, capture_output=True, text=True, check=False, timeout=120)


def test_a_session_ends_when_the_input_does():
    done = ringrift("play", "--board-type", "square8", "--num-players", "3", typed="P 0,0 1\n?\n")
    assert done.returncode == 0
    assert "Move a stack you control" in done.stdout
    assert "stopped after 1 plies" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["play", "--game", "foo"], "error: there is no game 'foo'; choose one of square8_2p"),
        (["play", "--num-players", "7"], "error: there is no game 'hex8_7p'"),
        (["play", "--game", "hex8_2p", "--num-players", "2"], "say either --game or"),
        (["play", "--agents", "robot"], "error: there is nobody called 'robot'"),
        (["play", "--seed", "-1"], "should be greater than or equal to 0"),
        (["show", "nowhere.json"], "error: nowhere.json: there is no such file"),
        (["verify-traces", "nowhere"], "error: nowhere: there is no such file or folder"),
        (["verify-traces"], "Missing argument"),
        (["verify-vectors", str(PARITY)], "no files ending in .vectors.json"),
        (["bench", "engine", "--games", "0"], "should be greater than or equal to 1"),
        (["gauntlet"], "say one candidate, as an argument or as --model"),
        (["gauntlet", "random", "--max-games", "3000"], "the book of hex8_2p has 1024 openings"),
        (["gate", "--mode", "weekly"], "error: there is no mode 'weekly'"),
        (["results", "check", "nowhere"], "error: nowhere: there is no such file or folder"),
        (["frobnicate"], "No such command"),
    ],
)
def test_bad_input_is_said_on_standard_error_with_exit_code_2(arguments, message):
    done = ringrift(*arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_variable_that_cannot_be_read_is_bad_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGRIFT_GAUNTLET_GAMES", "many")
    done = ringrift("gauntlet", "random")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: RINGRIFT_GAUNTLET_GAMES is 'many'; write a number of games" in done.stderr


def test_verify_traces_ends_with_the_counts():
    done = ringrift("verify-traces", str(PARITY / "square8-2p-scn.jsonl.gz"), str(PARITY / "hex8-4p-raw.jsonl.gz"))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "games=89 plies=2467 mismatches=0"


def test_bench_prints_one_json_object():
    done = ringrift("bench", "engine", "--game", "square8_4p", "--games", "8", "--runs", "1", "--json")
    report = json.loads(done.stdout)
    assert (report["game"], report["games"]) == ("square8_4p", 8)


def test_play_loads_neither_network_nor_learning_libraries():
    code = (
        "import sys; from p2p.cli.main import app; app(['play', '--agents', 'random'], standalone_mode=False)\n"
        "print(sorted({'aiohttp', 'torch', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
