"""The gauntlet job: a first look at a candidate against the champion, then the gate.

Every chunk of games is kept in the job's own folder (`work`) when it is played, so the same spec goes on after a stop
or a kill and comes to the same verdict. Matches and the result are written to `out` when they are complete. Chunks
that other processes have played ahead (`parts`) take the place of games that would be played here.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ringrift_core.evaluation.chunk_file import ChunkFile
from ringrift_core.evaluation.gauntlet import (
    CHUNK_GAMES,
    GameGauntlet,
    GauntletSettings,
    Opponent,
    Standing,
    opponents_of,
    refuse_own,
)
from ringrift_core.evaluation.gauntlet_result import GauntletRow
from ringrift_core.evaluation.odds import elo_of_share
from ringrift_core.evaluation.openings import Book
from ringrift_core.evaluation.parts import OfferedParts
from ringrift_core.evaluation.row_player import ALONE, Begun, Helpers
from ringrift_core.evaluation.series import Series, Watch
from ringrift_core.evaluation.stored_match import write_match
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.spec import GauntletSpec
from ringrift_core.jobs.standings import standings
from ringrift_core.jobs.stop import Emit, Stopped, beat_of
from ringrift_core.players.roster import Agent, agent_of
from ringrift_core.storage import prepare_folder

CHUNKS = "chunks.jsonl"
QUALIFICATION = "qualification"  # purpose of the match against the champion before the gate
QUALIFICATION_SEED = 1 << 32  # where rows have their numbers, so that it has openings of its own
PLACES = {"candidate", "champion", "anchors", "out", "work", "parts", "device"}  # where things are is not what they are


def run_gauntlet(spec: GauntletSpec, emit: Emit, stopped: Callable[[], bool]) -> None:
    """Run the job to its verdict or until `stopped()`, which is asked after every decision of the games.

    `emit` gets resumed, qualified, playing, taken, refused, progress and then done or stopped reports.
    """
    key = ConfigKey.parse(spec.game)
    candidate, opponents = agents_of(spec, key)
    refuse_own(candidate, opponents)
    prepare_folder(spec.out)
    with ChunkFile(spec.work / CHUNKS, identity(spec, candidate, opponents), datetime.now(UTC)) as chunks:
        watch = Watch(chunks, beat_of(stopped))
        helpers = _Helped(emit)
        gauntlet = GameGauntlet(key, settings_of(spec), spec.out, watch, helpers.of(spec))
        if chunks.games:
            emit({"event": "resumed", "games": chunks.games})
        try:
            champion = next((one.agent for one in opponents if one.role == "champion"), None)
            if champion is not None and spec.qualify_games:
                emit({"event": "qualified", **qualify(spec, candidate, champion, watch, chunks.begun_at)})
            result = gauntlet.run(candidate, opponents, chunks.begun_at, lambda row: emit(progress(row)))
        except Stopped:
            emit({"event": "stopped"})
            return
        path = gauntlet.keep(result)
    emit(
        {
            "event": "done",
            "result": path.stem,
            "candidate": result.candidate.sha256,
            "verdict": result.verdict.value,
            "reason": result.reason,
            "rows": [row_form(row) for row in result.rows],
            "parts": helpers.taken,
            "ratings": standings(spec.out, key),
        }
    )


def agents_of(spec: GauntletSpec, key: ConfigKey) -> tuple[Agent, list[Opponent]]:
    """The candidate and whom it meets; RulesError or StorageError for what is no net of this game."""

    def agent(path: Path) -> Agent:
        return agent_of(f"{path}:{spec.sims}", key, device=spec.device, deterministic=spec.deterministic)

    champion = None if spec.champion is None else agent(spec.champion)
    return agent(spec.candidate), opponents_of(key, champion, [agent(path) for path in spec.anchors])


def settings_of(spec: GauntletSpec) -> GauntletSettings:
    """The settings that a spec stands for; RulesError when they do not fit together."""
    return GauntletSettings(spec.seed, spec.games, spec.games_max, spec.candidate_number, spec.rates.thresholds)


def identity(spec: GauntletSpec, candidate: Agent, opponents: list[Opponent]) -> bytes:
    """What the job is, wherever its files are: chunks of another one are of no use."""
    form = {
        "spec": spec.model_dump(mode="json", exclude=PLACES),
        "agents": [candidate.identity.id, *(f"{one.role} {one.agent.identity.id}" for one in opponents)],
        "book": Book.of(spec.game).record.sha256,
        "rules_digest": Game.RULES_DIGEST,
        "chunk_games": CHUNK_GAMES,
    }
    return json.dumps(form, sort_keys=True).encode()


class _Helped:
    """What is reported of those who play ahead."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.taken = 0  # chunks that they have played

    def of(self, spec: GauntletSpec) -> Helpers:
        """Who plays ahead, where the spec names a file that says so."""
        if spec.parts is None:
            return ALONE
        return Helpers(OfferedParts(spec.parts, self._refused), lambda begun: self._emit(playing(begun)), self._took)

    def _took(self) -> None:
        self.taken += 1
        self._emit({"event": "taken", "parts": self.taken})

    def _refused(self, name: str, reason: str) -> None:
        self._emit({"event": "refused", "part": name, "reason": reason})


def playing(begun: Begun) -> dict[str, object]:
    """The report of a chunk that this process begins, and of those that others may play meanwhile."""
    first, last = begun.chunk
    return {"event": "playing", "row": begun.row, "first": first, "last": last, "ahead": list(map(list, begun.ahead))}


def qualify(spec: GauntletSpec, candidate: Agent, champion: Agent, watch: Watch, now: datetime) -> dict[str, object]:
    """Meet the champion in a match of its own and keep it; the report, Elo as the share says, finite at 0 and 1."""
    book = Book.of(spec.game)
    players = book.key.players
    seed = [spec.seed, QUALIFICATION_SEED]
    openings = book.draw(-(-spec.qualify_games // players), seed)
    series = Series(QUALIFICATION, candidate, champion, book, openings, seed, watch)
    games = series.play_all(CHUNK_GAMES)
    path = write_match(spec.out, series.match(games, seed=spec.seed, purpose=QUALIFICATION, now=now))
    wins = series.result(games).wins[0]
    half = 0.5 / len(games)
    return {
        "games": len(games),
        "wins": wins,
        "share": wins / len(games),
        "elo": round(elo_of_share(min(max(wins / len(games), half), 1 - half), players), 1),
        "candidate": candidate.identity.sha256,
        "champion": champion.identity.sha256,
        "match": path.stem,
    }


def progress(row: Standing) -> dict[str, object]:
    """The report of a row under way; the row ends when `llr` leaves `low` .. `high`."""
    low, high = row.bounds
    return {
        "event": "progress",
        "opponent": row.opponent.value,
        "name": row.name,
        "games": row.games,
        "cap": row.cap,
        "wins": row.wins,
        "llr": round(row.llr, 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def row_form(row: GauntletRow) -> dict[str, object]:
    """A row of the result, as far as somebody who does not open the file needs it."""
    names = ("opponent", "games", "wins", "share", "low", "high", "outcome", "blocks", "match")
    return {"sha256": row.agent.sha256, **row.model_dump(mode="json", include=set(names))}
