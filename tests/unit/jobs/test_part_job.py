"""The part job, and a gauntlet that takes what it has played."""

import json
from pathlib import Path
from typing import Any

import pytest

from ringrift_core.errors import RulesError
from ringrift_core.evaluation import gauntlet
from ringrift_core.evaluation.check import check_gauntlet
from ringrift_core.evaluation.gauntlet_result import read_gauntlet
from ringrift_core.evaluation.part_offer import Offer, OfferedPart, write_offer
from ringrift_core.evaluation.stored_match import read_match
from ringrift_core.jobs import gauntlet as job
from ringrift_core.jobs.part import run_part
from ringrift_core.jobs.spec import PartSpec
from tests.unit.jobs.test_gauntlet_job import games_of, outcome, play, spec


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gauntlet, job):
        monkeypatch.setattr(module, "CHUNK_GAMES", 8)


def part(folder: Path, row: int, first: int, last: int, **changes: Any) -> PartSpec:
    """A chunk of the gauntlet of `spec`, played elsewhere."""
    whole = spec(folder / "elsewhere", **changes)
    return PartSpec(kind="part", gauntlet=whole, row=row, first=first, last=last, out=folder / "parts")


def played(asked: PartSpec) -> dict[str, Any]:
    reports: list[dict[str, Any]] = []
    run_part(asked, reports.append, lambda: False)
    json.dumps(reports, allow_nan=False)
    (done,) = reports
    return done


def offered(folder: Path, *parts: PartSpec) -> Path:
    """The offer of some parts that were played."""
    found = []
    for asked in parts:
        file = asked.out / f"{played(asked)['sha256'][:16]}.json"
        found.append(OfferedPart(row=asked.row, first=asked.first, last=asked.last, file=str(file)))
    write_offer(folder / "parts.json", Offer(parts=tuple(found)))
    return folder / "parts.json"


def test_a_gauntlet_takes_what_was_played_elsewhere_and_finds_the_same(tmp_path: Path):
    alone = play(spec(tmp_path / "alone"))
    offer = offered(tmp_path, part(tmp_path, 0, 2, 6), part(tmp_path, 2, 2, 6))
    helped = play(spec(tmp_path / "helped", parts=offer))
    done = helped[-1]
    assert [it["parts"] for it in helped if it["event"] == "taken"] == list(range(1, done["parts"] + 1))
    assert done["parts"] >= 1
    assert outcome({**done, "parts": 0}) == outcome(alone[-1])
    assert games_of(tmp_path / "helped" / "results") == games_of(tmp_path / "alone" / "results")
    results = tmp_path / "helped" / "results"
    check_gauntlet(read_gauntlet(results / "gauntlets" / f"{done['result']}.json"), results)
    begun = [(it["row"], it["first"]) for it in helped if it["event"] == "playing"]
    assert len(set(begun)) == len(begun)
    assert (0, 2) not in begun


def test_a_lie_is_refused_with_a_report_and_changes_nothing(tmp_path: Path):
    alone = play(spec(tmp_path / "alone"))
    offer = offered(tmp_path, part(tmp_path, 0, 2, 6, seed=4))
    helped = play(spec(tmp_path / "helped", parts=offer))
    (refused,) = (it for it in helped if it["event"] == "refused")
    assert "it is no part of this row" in refused["reason"]
    assert outcome(helped[-1]) == outcome(alone[-1])


def test_what_was_taken_is_not_asked_for_again_after_a_kill(tmp_path: Path):
    offer = offered(tmp_path, part(tmp_path, 0, 2, 6))
    asked = spec(tmp_path, parts=offer)
    first = play(asked)
    offer.unlink()
    again = play(asked)
    assert again[0]["event"] == "resumed"
    assert not [it for it in again if it["event"] == "playing"]
    assert again[-1] == {**first[-1], "parts": 0}


def test_a_part_is_a_match_of_its_chunk_whose_name_is_told(tmp_path: Path):
    done = played(part(tmp_path, 1, 2, 6))
    match = read_match(tmp_path / "parts" / f"{done['sha256'][:16]}.json")
    assert (match.purpose, len(match.games), done["games"]) == ("part", 8, 8)
    assert set(done) == {"event", "sha256", "games"}


@pytest.mark.parametrize(("row", "first", "last"), [(3, 2, 6), (0, 2, 5), (0, 12, 16)])
def test_what_is_no_chunk_of_the_gauntlet_is_refused(tmp_path: Path, row: int, first: int, last: int):
    with pytest.raises(RulesError, match=f"row {row} has no chunk of the blocks {first} to {last - 1}"):
        played(part(tmp_path, row, first, last))


def test_a_part_that_is_stopped_leaves_nothing(tmp_path: Path):
    reports: list[dict[str, Any]] = []
    run_part(part(tmp_path, 0, 2, 6), reports.append, lambda: True)
    assert reports == [{"event": "stopped"}]
    assert list((tmp_path / "parts").iterdir()) == []
