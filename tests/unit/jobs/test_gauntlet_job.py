"""The gauntlet job in this process: reports, qualification, and that a stop or a kill changes no verdict.

Instead of nets the heuristic's and no judge's bare policies play, so nothing is slow.
"""

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation import gauntlet, match
from ringrift_core.evaluation.check import check_gauntlet, check_match
from ringrift_core.evaluation.chunk_file import ChunkFile
from ringrift_core.evaluation.gauntlet_result import read_gauntlet
from ringrift_core.evaluation.stored_match import StoredMatch, matches_in, read_match
from ringrift_core.evaluation.thresholds import Thresholds
from ringrift_core.jobs import gauntlet as job
from ringrift_core.jobs.gauntlet import run_gauntlet
from ringrift_core.jobs.spec import GauntletSpec, Rates, read_spec
from ringrift_core.players.names import HEURISTIC_V1_DIGEST, UNIFORM_DIGEST

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
EASY = {"random": 0.3, "heuristic": 0.02, "champion": 0.3}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gauntlet, job):
        monkeypatch.setattr(module, "CHUNK_GAMES", 8)


def spec(folder: Path, **changes: Any) -> GauntletSpec:
    asked: dict[str, Any] = {
        "kind": "gauntlet", "game": "hex8_2p", "candidate": "heuristic", "champion": "random", "sims": 0, "seed": 3,
        "out": folder / "results", "work": folder / "work", "games": 4, "games_max": 24, "qualify_games": 11,
        "rates": EASY, "deterministic": True,
    }  # fmt: skip
    return GauntletSpec(**{**asked, **changes})


def play(asked: GauntletSpec, stopped: Callable[[], bool] = lambda: False) -> list[dict[str, Any]]:
    reports: list[dict[str, Any]] = []
    run_gauntlet(asked, reports.append, stopped)
    json.dumps(reports, allow_nan=False)
    return reports


def games_of(out: Path) -> list[tuple[str, tuple[str, ...], Any]]:
    """Everything in the matches of a folder but when they were played."""
    found: list[StoredMatch] = list(matches_in(out))
    return sorted((it.purpose, tuple(agent.id for agent in it.agents), it.games) for it in found)


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}


def outcome(report: dict[str, Any]) -> dict[str, Any]:
    """A last report without the names of files, which bear a time."""
    rows = [{name: value for name, value in row.items() if name != "match"} for row in report["rows"]]
    return {**report, "result": "", "rows": rows}


class Run(NamedTuple):
    """A gauntlet that nobody stopped."""

    asked: GauntletSpec
    reports: list[dict[str, Any]]
    beats: int  # how often it asked whether it is to stop


def run_of(asked: GauntletSpec) -> Run:
    beats = count()
    with pytest.MonkeyPatch.context() as patch:
        for module in (gauntlet, job):
            patch.setattr(module, "CHUNK_GAMES", 8)
        reports = play(asked, lambda: next(beats) < 0)
    return Run(asked, reports, next(beats))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The first look and three rows."""
    return run_of(spec(tmp_path_factory.mktemp("straight")))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A row of three chunks."""
    return run_of(quick(tmp_path_factory.mktemp("short")))


def quick(folder: Path, **changes: Any) -> GauntletSpec:
    """A row of random play."""
    return spec(folder, **{"candidate": "random", "champion": None, "games_max": 16, **changes})


# ---- what it reports ----


def test_a_gauntlet_reports_what_it_finds_and_keeps_it(straight):
    asked, reports, _ = straight
    assert [report["event"] for report in reports if report["event"] != "progress"] == ["qualified", "done"]
    done = reports[-1]
    result = read_gauntlet(asked.out / "gauntlets" / f"{done['result']}.json")
    check_gauntlet(result, asked.out)
    assert (done["verdict"], done["reason"]) == (result.verdict, result.reason)
    assert done["candidate"] == result.candidate.sha256 == HEURISTIC_V1_DIGEST
    assert [row["opponent"] for row in done["rows"]] == ["random", "heuristic", "champion"]
    for row, kept in zip(done["rows"], result.rows, strict=True):
        form = kept.model_dump(mode="json")
        assert row == {name: form["agent"]["sha256"] if name == "sha256" else form[name] for name in row}
        assert {"games", "wins", "share", "low", "high", "outcome", "match", "blocks"} <= set(row)
    assert result.created_at == read_match(asked.out / f"{done['rows'][0]['match']}.json").created_at


def test_progress_is_reported_after_every_chunk(straight):
    reports = [it for it in straight.reports if it["event"] == "progress"]
    assert set(reports[0]) == {"event", "opponent", "name", "games", "cap", "wins", "llr", "low", "high"}
    assert [it["games"] for it in reports if it["opponent"] == "random"][:2] == [4, 12]
    assert {it["cap"] for it in reports} == {24}


def test_the_first_look_is_a_match_of_whole_blocks_with_openings_of_its_own(straight):
    asked, reports, _ = straight
    report = reports[0]
    found = read_match(asked.out / f"{report['match']}.json")
    check_match(found)
    assert (report["games"], len(found.games), found.purpose) == (12, 12, "qualification")
    assert report["wins"] == sum(game.winner == 0 for game in found.games)
    assert report["share"] == report["wins"] / 12
    assert (report["candidate"], report["champion"]) == (HEURISTIC_V1_DIGEST, UNIFORM_DIGEST)
    row = read_match(asked.out / f"{reports[-1]['rows'][2]['match']}.json")
    assert {game.opening for game in found.games} != {game.opening for game in row.games[:12]}


@pytest.mark.parametrize(
    ("one", "other", "low", "high"), [("heuristic", "random", 150, 553), ("random", "heuristic", -553, -150)]
)
def test_the_estimate_in_elo_is_finite_even_where_all_games_are_won(tmp_path, one, other, low, high):
    easy = {"random": 0.001, "heuristic": 0.9}
    report = play(spec(tmp_path, candidate=one, champion=other, games=2, games_max=2, qualify_games=4, rates=easy))[0]
    assert low <= report["elo"] <= high


def test_three_players_meet_in_whole_blocks(tmp_path):
    asked = spec(tmp_path, game="square8_3p", qualify_games=4, games=3, games_max=6)
    reports = play(asked)
    assert reports[0]["games"] == 6
    assert reports[-1]["verdict"] in {"passed", "failed", "undecided"}


def test_without_a_champion_or_a_wish_there_is_no_first_look(tmp_path, short):
    unwished = play(quick(tmp_path, champion="heuristic", qualify_games=0))
    for reports in (short.reports, unwished):
        assert {report["event"] for report in reports} == {"progress", "done"}


def test_ratings_are_those_of_the_folder(straight):
    asked, reports, _ = straight
    ratings = reports[-1]["ratings"]
    assert {row["sha256"] for row in ratings} >= {HEURISTIC_V1_DIGEST, UNIFORM_DIGEST}
    games = {(row["sha256"], row["sims"]): row["games"] for row in ratings}
    assert games[HEURISTIC_V1_DIGEST, 0] == sum(len(it.games) for it in matches_in(asked.out))
    assert [row["elo"] for row in ratings] == sorted((row["elo"] for row in ratings), reverse=True)
    assert {"se", "margin", "link"} <= set(ratings[0])


def test_a_damaged_match_in_the_folder_costs_its_own_games_only(tmp_path):
    asked = quick(tmp_path)
    asked.out.mkdir()
    (asked.out / f"{'0' * 16}.json").write_text("{}")
    done = play(asked)[-1]
    assert done["event"] == "done"
    assert {row["sha256"] for row in done["ratings"]} >= {row["sha256"] for row in done["rows"]}


# ---- stopped and killed ----


def test_stopped_at_any_time_it_goes_on_to_the_same_verdict(tmp_path, straight):
    """In every process a fifth of the work; each ends in good order."""
    asked = spec(tmp_path)
    events: list[str] = []
    reports: list[dict[str, Any]] = []
    while events[-1:] != ["done"]:
        left = iter(range(straight.beats // 5, -1, -1))
        reports = play(asked, lambda: next(left) == 0)  # noqa: B023 - called at once
        events.append(reports[-1]["event"])
        assert (asked.out / "gauntlets").exists() == (events[-1] == "done")
        assert len(events) < 40
    assert set(events[:-1]) == {"stopped"}
    assert len(events) > 4
    assert outcome(reports[-1]) == outcome(straight.reports[-1])
    assert games_of(asked.out) == games_of(straight.asked.out)


def test_what_was_played_is_not_played_again(tmp_path, monkeypatch, straight):
    asked = spec(tmp_path)
    shutil.copytree(straight.asked.work, asked.work)
    monkeypatch.setattr(match, "Table", None)
    again = play(asked)
    known = straight.reports[0]["games"] + sum(row["games"] for row in straight.reports[-1]["rows"])
    assert again[0] == {"event": "resumed", "games": known}
    assert again[1:] == straight.reports
    assert listing(asked.out) == listing(straight.asked.out)


def test_a_chunk_is_kept_before_it_is_reported(tmp_path):
    asked = quick(tmp_path)
    seen: list[int] = []

    def emit(report: dict[str, Any]) -> None:
        if report["event"] == "progress":
            seen.append(len((asked.work / "chunks.jsonl").read_bytes().splitlines()))

    run_gauntlet(asked, emit, lambda: False)
    assert seen == [2, 3, 4]


@pytest.mark.parametrize("spoil", [
    lambda content: b"",
    lambda content: content[:-7],
    lambda content: content.replace(b'"winner":0', b'"winner":1', 1),
    lambda content: b"\xff\x00" + content,
    lambda content: b"[" * 100_000,
    lambda content: b"".join([*content.splitlines(keepends=True)[:1], *content.splitlines(keepends=True)[:0:-1]]),
    lambda content: b"".join([*content.splitlines(keepends=True)[:2], b"{}\n", *content.splitlines(keepends=True)[2:]]),
])  # fmt: skip
def test_damaged_progress_is_not_believed(tmp_path, spoil, short):
    asked = quick(tmp_path)
    shutil.copytree(short.asked.work, asked.work)
    path = asked.work / "chunks.jsonl"
    path.write_bytes(spoil(path.read_bytes()))
    assert outcome(play(asked)[-1]) == outcome(short.reports[-1])
    assert games_of(asked.out) == games_of(short.asked.out)
    again = play(asked)
    assert (again[0], outcome(again[-1])) == ({"event": "resumed", "games": 16}, outcome(short.reports[-1]))


@pytest.mark.parametrize("changes", [{"seed": 4}, {"candidate": "heuristic"}, {"games_max": 12}])
def test_progress_of_another_job_is_not_believed(tmp_path, short, changes):
    asked = quick(tmp_path, **changes)
    shutil.copytree(short.asked.work, asked.work)
    reports = play(asked)
    assert reports[0]["event"] == "progress"
    fresh = play(quick(tmp_path / "fresh", **changes))
    assert outcome(reports[-1]) == outcome(fresh[-1])


def test_places_and_devices_may_change(tmp_path, short):
    shutil.copytree(short.asked.work, tmp_path / "moved")
    reports = play(quick(tmp_path, work=tmp_path / "moved", out=tmp_path / "other", device="cpu"))
    assert reports[0]["event"] == "resumed"


def test_two_processes_do_not_play_in_one_folder(tmp_path):
    asked = quick(tmp_path)
    with (
        ChunkFile(asked.work / "chunks.jsonl", b"", NOW),
        pytest.raises(StorageError, match="another process plays these games"),
    ):
        play(asked)


def test_a_full_disk_is_said_and_the_job_goes_on_afterwards(tmp_path, monkeypatch, short):
    asked, calls = quick(tmp_path), count()
    real = os.fsync

    def full(handle: int) -> None:
        if next(calls) == 4:  # the head, its folder, two chunks, then this one
            raise OSError(28, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="the disk is full: free some space"):
            play(asked)
    reports = play(asked)
    assert reports[0]["event"] == "resumed"
    assert outcome(reports[-1]) == outcome(short.reports[-1])


# ---- what is refused ----


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidate": "nowhere.pth"}, r"nowhere\.pth: there is no such file"),
        ({"champion": "heuristic"}, "the candidate is its own champion"),
        ({"anchors": ["heuristic"]}, "the candidate is its own anchor"),
        ({"games": 50}, "at most 24 games and at least 50 do not fit together"),
        ({"games": 1, "games_max": 1}, "no number of blocks"),
        ({"qualify_games": 5000}, "the book of hex8_2p has 1024 openings"),
        ({"rates": {"random": 0.9999999999999999}}, "a threshold is a share between 0 and 1"),
    ],
)
def test_what_makes_no_gauntlet_is_refused_before_a_game(tmp_path, changes, message):
    asked = spec(tmp_path, **changes)
    with pytest.raises((RulesError, StorageError), match=message):
        play(asked, lambda: pytest.fail("a game has begun"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": {"random": 1.0}}, r"rates\.random"),
        ({"rates": {"champoin": 0.5}}, r"rates\.champoin"),
        ({"games": 0}, "games"),
        ({"seed": -1}, "seed"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_name_of_the_field(tmp_path, changes, message):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({**spec(tmp_path).model_dump(mode="json"), **changes}))
    with pytest.raises(StorageError, match=message):
        read_spec(path)


def test_a_spec_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(spec(tmp_path).model_dump_json())
    assert read_spec(path) == spec(tmp_path)


def test_rates_that_are_not_wished_for_are_those_of_the_documents():
    assert Rates().thresholds == Thresholds()
    assert Rates(heuristic=0.7).thresholds == Thresholds(heuristic=0.7)
