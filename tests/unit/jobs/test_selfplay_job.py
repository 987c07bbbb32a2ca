"""The selfplay job in this process: counts that agree, what the flags say, determinism, when shards are cut."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.rules import layout as at
from ringrift_core.jobs import selfplay as job
from ringrift_core.jobs.selfplay import run_selfplay
from ringrift_core.jobs.spec import SelfplaySpec, read_spec
from ringrift_core.selfplay.check import check_folder
from ringrift_core.selfplay.played_game import EXPLORED, FULL, OPENING
from ringrift_core.selfplay.shard import Shard, read_shard
from ringrift_core.selfplay.shard_folder import shards_in


def spec(out: Path, **changes: Any) -> SelfplaySpec:
    asked = {"game": "hex8_2p", "model": "random", "out": out, "seed": 3, "games": 12, "sims": 4, "deterministic": True}
    return SelfplaySpec(**{**asked, **changes})


def play(asked: SelfplaySpec) -> list[dict[str, Any]]:
    reports: list[dict[str, Any]] = []
    run_selfplay(asked, reports.append, lambda: False)
    return reports


def only_shard(folder: Path) -> Shard:
    (path,) = shards_in(folder)
    return read_shard(path)


@pytest.mark.parametrize(("game", "model", "sims"), [("hex8_2p", "random", 4), ("square8_3p", "heuristic", 3)])
def test_counts_agree_between_reports_shards_and_samples(tmp_path: Path, game, model, sims):
    reports = play(spec(tmp_path, game=game, model=model, sims=sims))
    done, written = reports[-1], [report for report in reports if report["event"] == "shard"]
    check = check_folder(tmp_path, 0.0)
    assert [verdict.fault for verdict in check.verdicts] == [None] * done["shards"]
    shard = only_shard(tmp_path)
    counts = shard.manifest.counts
    assert done["games"] == done["written_games"] == counts.games == len(shard) == 12
    assert done["samples"] == done["written_samples"] == counts.samples == len(shard.samples().row_of)
    assert (written[0]["plies"], written[0]["decisions"]) == (counts.plies, counts.decisions)
    assert counts.decisions == len(shard.columns.choices)
    assert done["decisions"] == int((shard.columns.flags & OPENING == 0).sum())
    assert done["forced"] == 0
    assert done["simulations"] == sims * done["decisions"]


def test_openings_are_random_and_everything_else_is_searched(tmp_path: Path):
    play(spec(tmp_path, games=40, opening_max=5))
    columns = only_shard(tmp_path).columns
    openings = []
    for flags in np.split(columns.flags, np.cumsum(columns.counts[:-1])):
        opening = flags & OPENING != 0
        openings.append(int(opening.sum()))
        assert opening[: openings[-1]].all()
        assert (flags[openings[-1] :] & FULL != 0).all()
        assert (flags[openings[-1] + 20 :] & EXPLORED == 0).all()
    assert set(openings) == {0, 1, 2, 3, 4, 5}


def test_capped_searches_leave_no_target(tmp_path: Path):
    play(spec(tmp_path, games=20, full_share=0.25, opening_max=0))
    flags = only_shard(tmp_path).columns.flags
    assert 0.15 < (flags & FULL != 0).mean() < 0.35


def test_against_an_opponent_only_the_learner_leaves_samples(tmp_path: Path):
    asked = spec(tmp_path, games=30, opponents=[{"model": "heuristic", "share": 0.5}], opening_max=0)
    play(asked)
    shard = only_shard(tmp_path)
    assert [player.name for player in shard.manifest.head.players] == ["uniform", "heuristic-v1"]
    kinds = Counter(tuple(sorted(row)) for row in shard.columns.players.tolist())
    assert set(kinds) == {(0, 0), (0, 1)}
    assert 5 < kinds[0, 1] < 25
    samples = shard.samples()
    rows = np.arange(len(samples.states))
    movers = samples.states[rows, at.AGENT + samples.states[:, at.PLAYER]]
    for row, agent in zip(samples.row_of, movers, strict=True):
        assert shard.columns.players[row[0]][agent - 1] == 0


def test_the_same_spec_gives_the_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        play(spec(tmp_path / name, model="heuristic", sims=6, games=6))
    first, second = (next(iter(shards_in(tmp_path / name))) for name in ("a", "b"))
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_a_game_does_not_depend_on_the_games_beside_it(tmp_path: Path):
    play(spec(tmp_path / "all", games=6))
    play(spec(tmp_path / "some", games=2, first=1, stride=3, slots=1))
    games = {}
    for name in ("all", "some"):
        columns = only_shard(tmp_path / name).columns
        parts = np.split(columns.choices, np.cumsum(columns.counts[:-1]))
        games[name] = {int(number): part.tolist() for number, part in zip(columns.numbers, parts, strict=True)}
    assert set(games["some"]) == {1, 4}
    assert {number: games["all"][number] for number in (1, 4)} == games["some"]


def test_shards_are_cut_by_age_unless_deterministic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(job, "SHARD_AGE_S", 0.0)
    play(spec(tmp_path / "aged", deterministic=False, slots=2))
    play(spec(tmp_path / "counted", slots=2))
    assert len(shards_in(tmp_path / "aged")) > 1
    assert len(shards_in(tmp_path / "counted")) == 1
    monkeypatch.setattr(job, "GAMES_PER_SHARD", 5)
    play(spec(tmp_path / "fives"))
    assert sorted(len(read_shard(path)) for path in shards_in(tmp_path / "fives")) == [2, 5, 5]


def test_a_stopped_job_writes_what_is_finished(tmp_path: Path):
    reports: list[dict[str, Any]] = []
    ticks = iter(range(10**6))
    run_selfplay(spec(tmp_path, games=0, slots=8), reports.append, lambda: next(ticks) > 600)
    assert reports[-1]["event"] == "done"
    assert 0 < reports[-1]["games"] == reports[-1]["written_games"] == len(only_shard(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sims": -1}, "sims"),
        ({"game": "go"}, "there is no game 'go'"),
        ({"opponents": [{"model": "heuristic", "share": 1.5}]}, "share"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_name_of_the_field(tmp_path: Path, changes, message):
    path = tmp_path / "spec.json"
    form = spec(tmp_path).model_dump(mode="json")
    path.write_text(json.dumps({**form, **changes}))
    with pytest.raises((StorageError, RulesError), match=message):
        read_spec(path)


def test_shares_of_opponents_above_one_are_refused(tmp_path: Path):
    opponents = [{"model": "heuristic", "share": 0.7}, {"model": "random", "share": 0.7}]
    with pytest.raises(ValidationError, match="sum to more than 1"):
        play(spec(tmp_path, opponents=opponents))


def test_finished_games_wait_no_longer_than_half_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With a clock that a tick moves by a second: from its first unwritten game on a shard is 30 seconds away."""
    clock = {"s": 0.0}
    monkeypatch.setattr(job, "monotonic", lambda: clock["s"])
    written: list[float] = []
    finished: list[float] = []

    def emit(report: dict[str, Any]) -> None:
        if report["event"] == "shard":
            written.append(clock["s"])
            waiting = [moment for moment in finished if moment > (written[-2] if len(written) > 1 else -1.0)]
            assert clock["s"] - min(waiting) <= job.SHARD_AGE_S + 1
        elif report["games"] > report["written_games"]:
            finished.append(clock["s"])

    def tick() -> bool:
        clock["s"] += 1.0
        return clock["s"] > 2000

    run_selfplay(spec(tmp_path, games=0, slots=4, deterministic=False), emit, tick)
    assert len(written) > 5


def test_drawn_decisions_follow_the_policy_target(tmp_path: Path):
    """Drawn by visits they would be nearly uniform: sequential halving visits its candidates equally often."""
    play(spec(tmp_path, model="heuristic", sims=16, games=30, opening_max=0))
    shard = only_shard(tmp_path)
    rows = shard.samples()
    chosen, highest = [], []
    for i, (game, choice) in enumerate(rows.row_of):
        first, last = rows.legal.offsets[i : i + 2]
        played = shard.columns.choices[int(shard.columns.counts[:game].sum()) + choice]
        if choice < 20:
            chosen.append(rows.policy[first:last][rows.legal[i].tolist().index(played)])
            highest.append(rows.policy[first:last].max())
    assert np.mean(chosen) > 0.6 * np.mean(highest)


def test_batches_are_counted_against_all_games_in_play(tmp_path: Path):
    alone = play(spec(tmp_path / "alone", games=40, slots=8))[-1]
    mixed = play(spec(tmp_path / "mixed", games=40, slots=8, opponents=[{"model": "heuristic", "share": 1.0}]))[-1]
    assert alone["batch_fill"] > 0.9
    assert 0.3 < mixed["batch_fill"] < 0.7
