"""The canary job: the net in production meets others. Its blocks are what registry/canary.py looks at.

Openings are drawn without return: one seed gives each number of a canary openings that the numbers before it did not
have against the same opponent, until the book is used up.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ringrift_core.evaluation.gauntlet import CHUNK_GAMES
from ringrift_core.evaluation.openings import Book, Opening
from ringrift_core.evaluation.series import Series, Watch
from ringrift_core.evaluation.stored_match import write_match
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.spec import CanarySpec
from ringrift_core.jobs.standings import standings
from ringrift_core.jobs.stop import Emit, Stopped, beat_of
from ringrift_core.players.names import SIMPLE
from ringrift_core.players.roster import Agent, agent_of
from ringrift_core.storage import prepare_folder

PURPOSE = "canary"  # of the matches
WORD_BITS = 64  # of an opponent's digest that its seed is made of


def run_canary(spec: CanarySpec, emit: Emit, stopped: Callable[[], bool]) -> None:
    """Play against every opponent, or until `stopped()`; `emit` gets progress and then done or stopped reports."""
    key = ConfigKey.parse(spec.game)
    model, opponents = agents_of(spec, key)
    prepare_folder(spec.out)
    watch = Watch(beat=beat_of(stopped))
    blocks: list[dict[str, object]] = []
    try:
        for opponent in opponents:
            blocks.append(meet(spec, model, opponent, watch))
            emit({"event": "progress", "opponents": len(opponents), "met": len(blocks), **blocks[-1]})
    except Stopped:
        emit({"event": "stopped"})
        return
    emit({"event": "done", "model": model.identity.sha256, "blocks": blocks, "ratings": standings(spec.out, key)})


def agents_of(spec: CanarySpec, key: ConfigKey) -> tuple[Agent, list[Agent]]:
    """The net and whom it meets, nobody twice; RulesError or StorageError for what cannot play."""

    def agent(text: str) -> Agent:
        return agent_of(text, key, device=spec.device, deterministic=spec.deterministic)

    named = [name if name in SIMPLE else f"{name}:{spec.sims}" for name in spec.opponents]
    opponents = {one.identity.id: one for one in map(agent, named)}
    return agent(f"{spec.model}:{spec.sims}"), list(opponents.values())


def meet(spec: CanarySpec, model: Agent, opponent: Agent, watch: Watch) -> dict[str, object]:
    """Play the blocks against one opponent and keep the match; `wins` has the net's first places, block by block."""
    book = Book.of(spec.game)
    players = book.key.players
    word = int(opponent.identity.sha256, 16) >> (256 - WORD_BITS)
    seed = [spec.seed, spec.number, word]
    openings = openings_of(book, -(-spec.games // players), spec.number, [spec.seed, word])
    series = Series(PURPOSE, model, opponent, book, openings, seed, watch)
    games = series.play_all(CHUNK_GAMES)
    ended_at = datetime.now(UTC)
    path = write_match(spec.out, series.match(games, seed=spec.seed, purpose=PURPOSE, now=ended_at))
    won = [game.winner == 0 for game in games]
    return {
        "opponent": opponent.identity.sha256,
        "name": opponent.identity.name,
        "games": len(games),
        "wins": [sum(won[first : first + players]) for first in range(0, len(won), players)],
        "ended_at": ended_at.isoformat(),
        "match": path.stem,
    }


def openings_of(book: Book, count: int, number: int, seed: Sequence[int]) -> tuple[Opening, ...]:
    """The openings of canary `number`; RulesError when the book has fewer than `count`."""
    turn, place = divmod(number, max(1, len(book.openings) // count))
    first = place * count
    return book.draw(first + count, [*seed, turn])[first:]
