"""`ringrift play`: a game in the terminal, people and computer players in any mix."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from rich.console import Console
from rich.text import Text

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game import Game, GameBatch
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.explain import MEANINGS, letters
from ringrift_core.game.text_board import LEGEND
from ringrift_core.players.player import Player
from ringrift_core.players.roster import player_of

SEAT_STYLES = {1: "bold red", 2: "bold blue", 3: "bold yellow", 4: "bold green"}
LISTED = 40  # legal plies shown by one `?`
HELP = """\
Type a ply as it is written in the list, or one of:
  ?          what this phase is about, and the legal plies by kind
  ? TEXT     the legal plies that begin with TEXT, for example: ? M 0,0
  undo       take back the last choice of a person and all that followed
  svg FILE   write a picture of the position
  save FILE  write the record so far
  quit       end the session"""
PHASE_HELP = {
    "ring_placement": "Put 1-3 rings on an empty cell or one ring on any stack, or skip if another stack can act. "
    "The stack you build must move in this turn, and must be able to.",
    "movement": "Move a stack you control in a straight line, at least as far as it is high; it leaves a marker. "
    "Or capture: jump over the first stack in line if your cap is at least as high as its cap. Foreign markers you "
    "pass become yours, your own collapse to territory; landing on a marker costs your top ring.",
    "capture": "The stack that moved may capture on, or you skip.",
    "chain_capture": "The capturing stack must go on while it can.",
    "line_processing": "Your lines of markers collapse to territory. A whole line costs the top ring of a stack of "
    "yours, the minimum of a longer one is free.",
    "territory_processing": "Regions that are cut off and hold fewer colours than are in play may be claimed; each "
    "costs the cap of a stack of yours outside it.",
    "forced_elimination": "You could do nothing in this turn: one of your caps is eliminated, choose which.",
}


class Agent(Protocol):
    """Who plays: chooses the text of a legal ply, or None to stop the game."""

    def choose(self, game: Game) -> str | None:
        """Choose one of `game.legal_plies()`."""


class Computer:
    """A player of the roster, asked decision by decision until a ply is complete."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def choose(self, game: Game) -> str | None:
        """The ply that the player's decisions make up."""
        left = game.legal()
        batch = GameBatch.of(game)
        made = 0
        while len(left) > 1:
            ids = batch.legal()[0]
            decision = int(ids[0] if len(ids) == 1 else self._player.choose(batch, np.zeros(1, np.int64))[0])
            batch.apply([decision])
            left = {text: sequence for text, sequence in left.items() if sequence[made] == decision}
            made += 1
        return next(iter(left))


class Human:
    """Asks at the terminal until there is a legal ply."""

    def __init__(self, console: Console, read: Callable[[str], str]) -> None:
        self._console = console
        self._read = read

    def choose(self, game: Game) -> str | None:
        """Read commands until one is a legal ply or ends the session."""
        show_board(self._console, game)
        plies = game.legal_plies()
        self._console.print(
            f"{len(plies)} legal plies of the kinds {', '.join(letters(plies))}; ? explains them", style="dim"
        )
        while True:
            try:
                line = self._read(f"seat {game.player}, {game.phase.replace('_', ' ')}> ").strip()
            except (EOFError, KeyboardInterrupt):
                self._console.print()
                return None
            if line in {"quit", "exit", "q"}:
                return None
            if line == "undo" or line in plies:
                return line
            self._console.print(self._answer(game, line), highlight=False, markup=False, soft_wrap=True)

    def _answer(self, game: Game, line: str) -> str:
        word, _, rest = line.partition(" ")
        try:
            if word == "?":
                return explain_phase(game, rest.strip())
            if word in {"", "help"}:
                return HELP
            if word in {"svg", "save"}:
                return _write(Path(rest.strip() or f"game.{'svg' if word == 'svg' else 'json'}"), word, game)
            game.play(line)
        except (RulesError, StorageError) as error:
            return str(error)
        raise AssertionError("a ply that is not in the legal list was played")


def explain_phase(game: Game, prefix: str) -> str:
    """What the phase is about and which plies are legal, or those that begin with a text."""
    plies = game.legal_plies()
    if prefix:
        found = [ply for ply in plies if ply.startswith(prefix)]
        more = f"\n... and {len(found) - LISTED} more" if len(found) > LISTED else ""
        return "\n".join(found[:LISTED]) + more if found else f"no legal ply begins with {prefix!r}"
    kinds = []
    for letter in letters(plies):
        of_kind = [ply for ply in plies if ply.split(" ", 1)[0] == letter]
        examples = "; ".join(of_kind[:4]) + ("; ..." if len(of_kind) > 4 else "")
        kinds.append(f"  {letter:4}{MEANINGS[letter]} ({len(of_kind)}): {examples}")
    return "\n".join([PHASE_HELP[game.phase], *kinds, f"Board: {LEGEND}", HELP])


def show_board(console: Console, game: Game) -> None:
    """The board with seats in their colours."""
    text = Text(game.text())
    for seat, style in SEAT_STYLES.items():
        text.highlight_regex(rf"(?<=[\s])([*#]{seat}|[1-4]{{0,3}}{seat}|{seat}:\d+/\d+)(?=\s)", style)
        text.highlight_regex(rf"seat {seat} .*", style.removeprefix("bold "))
    console.print()
    console.print(text, no_wrap=True, crop=False)


def _write(path: Path, kind: str, game: Game) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = game.svg() if kind == "svg" else json.dumps(game.to_json(path.stem)) + "\n"
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from None
    return f"wrote {path}"


@dataclass(frozen=True, slots=True)
class Table:
    """A game in the terminal and who sits at it."""

    game: Game
    agents: list[Agent]  # agent 1 first
    console: Console

    def run(self) -> None:
        """Play until the game is over or a person stops."""
        while not self.game.over:
            self._note_forced()
            if self.game.over:
                break
            seat = self.game.player
            agent = self.agents[self.game.agent_of_seat[seat - 1] - 1]
            choice = agent.choose(self.game)
            if choice is None:
                self.console.print(f"stopped after {len(self.game.plies)} plies")
                return
            if choice == "undo":
                self._undo()
                continue
            self.game.play(choice)
            self.console.print(
                f"ply {len(self.game.plies):4}  seat {seat}  {choice}", highlight=False, markup=False, soft_wrap=True
            )
        self._finish()

    def _note_forced(self) -> None:
        first = len(self.game.plies)
        self.game.advance()
        forced = self.game.plies[first:]
        if forced:
            self.console.print(
                f"      forced: {'; '.join(forced)}", style="dim", highlight=False, markup=False, soft_wrap=True
            )

    def _undo(self) -> None:
        """Back to the last position in which a person had a choice."""
        while self.game.plies:
            self.game.undo()
            agent = self.game.agent_of_seat[self.game.player - 1]
            if isinstance(self.agents[agent - 1], Human) and len(self.game.legal_decisions()) > 1:
                return

    def _finish(self) -> None:
        outcome = self.game.outcome
        assert outcome is not None
        show_board(self.console, self.game)
        ranks = ", ".join(f"seat {seat}: {rank}" for seat, rank in enumerate(outcome.ranks, 1))
        self.console.print(
            f"seat {outcome.winner} (agent {outcome.winner_agent}) wins by {outcome.reason.replace('_', ' ')} "
            f"after {len(self.game.plies)} plies in {self.game.turn} turns; ranking {ranks}",
            soft_wrap=True,
        )


def make_agents(
    names: list[str], key: ConfigKey, seed: int, console: Console, read: Callable[[str], str]
) -> list[Agent]:
    """People, and players of the roster; missing ones are random."""
    if len(names) > key.players:
        raise RulesError(f"{len(names)} agents are too many for {key.players} seats")
    chosen = names + ["random"] * (key.players - len(names))
    rngs = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(key.players))
    return [
        Human(console, read) if name == "human" else Computer(player_of(name, key, rng))
        for name, rng in zip(chosen, rngs, strict=True)
    ]


def play(game: Game, agents: list[str], seed: int, record: Path | None, console: Console) -> None:
    """A whole session; the record is written at its end, finished or not."""
    table = Table(game, make_agents(agents, game.config_key, seed, console, input), console)
    try:
        table.run()
    finally:
        if record is not None:
            console.print(_write(record, "save", game), highlight=False, markup=False, soft_wrap=True)


def agent_names(text: str) -> list[str]:
    """Names from a comma-separated list."""
    return [name for name in re.split(r"[,\s]+", text.strip()) if name]
