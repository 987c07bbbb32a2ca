"""A status as a picture for a terminal: outcomes first, then what is waited for, then how it is done."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from managers.line import one_line
from managers.milestones import span
from managers.outcomes import Outcome, short
from managers.status_board import concerns_of
from managers.status_records import ChampionStatus, GameStatus, JobStatusRow, Status

RECENT_MAX = 8  # outcomes that are shown
JOBS_SHOWN_MAX = 20
WAITS_SHOWN_MAX = 12
MIB = 1 << 20
NOTHING = "-"


def view_of(status: Status) -> RenderableType:
    """The whole picture."""
    parts: list[RenderableType] = [_head(status), *troubles(status), games_table(status)]
    parts += [section("expected", expected_lines(status)), section("waits", wait_lines(status))]
    if status.jobs:
        parts.append(_jobs(status))
    parts.append(section("lately", [clock_line(it) for it in status.recent[-RECENT_MAX:]]))
    parts += [Text(f"note: {one_line(note)}", "dim") for note in status.notes]
    return Group(*parts)


def clock_line(outcome: Outcome) -> str:
    """An outcome as a line with its time."""
    at = datetime.fromtimestamp(outcome.at, UTC).astimezone().strftime("%H:%M:%S")
    subject = "" if outcome.game is None else f"{outcome.game}: "
    return f"{at} {subject}{outcome.text}"


def summary_line(game: GameStatus) -> str:
    """A configuration in one line."""
    champion = "no champion yet"
    if game.champion is not None:
        champion = f"champion {short(game.champion.sha256)} Elo {elo_text(game.champion)}"
    expected = game.milestones[0].text if game.milestones else game.training
    rate = "" if game.games_per_h is None else f", {game.games_per_h:.0f} games/h"
    return f"{game.game}: {champion}; {game.games} games{rate}; {expected}"


def elo_text(champion: ChampionStatus) -> str:
    """Its Elo with the bounds, at 95 %."""
    if champion.elo is None or champion.elo_margin is None:
        return "unknown"
    return f"{champion.elo:.0f} ± {champion.elo_margin:.0f}"


def _head(status: Status) -> Text:
    head = Text(f"RingRift loop {one_line(status.node_id)}", "bold")
    if status.running:
        head.append(f"  process {status.pid}, up {span(status.uptime_s)}, seq {status.seq}", "dim")
    else:
        head.append(f"  not running; last state of {one_line(status.data_dir)}, seq {status.seq}", "yellow")
    if status.halt is not None:
        text = one_line(f"halted by {status.halt.by}: {status.halt.reason}")
        head.append(f"\n{text}; `ringrift loop --resume` goes on", "bold yellow")
    return head


def troubles(status: Status) -> Iterator[Text]:
    """What a person should look at."""
    for text in concerns_of(status).values():
        yield Text(one_line(text), "bold red")
    for game in status.games:
        if game.held:
            yield Text(f"{game.game}: automatic rollbacks stand still: {game.held}", "bold red")
        if game.regression:
            yield Text(f"{game.game}: the champion is rated surely below the one before it", "bold red")
        if game.stuck > 1:
            yield Text(f"{game.game}: {game.stuck} candidates in a row did not pass", "yellow")


def games_table(status: Status) -> Table:
    """A row per configuration, outcomes first."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("game", "champion", "Elo", "won against", "games", "per h", "newest", "rows/row"):
        table.add_column(name, overflow="fold")
    for game in status.games:
        champion = game.champion
        table.add_row(
            game.game,
            f"none ({game.phase})" if champion is None else f"{short(champion.sha256)} ({champion.kind})",
            NOTHING if champion is None else elo_text(champion),
            NOTHING if champion is None else _win_rates(champion),
            f"{game.games}",
            NOTHING if game.games_per_h is None else f"{game.games_per_h:.0f}",
            NOTHING if game.freshness_h is None else f"{span(3600 * game.freshness_h)} ago",
            f"{game.rows_per_new_row:.1f}",
        )
    return table


def _win_rates(champion: ChampionStatus) -> str:
    """Share of games won, with its bounds at 95 %, by opponent."""
    return "\n".join(
        f"{row.opponent} {100 * row.share:.0f} % ({100 * row.low:.0f}-{100 * row.high:.0f})"
        for row in champion.win_rates
    )


def expected_lines(status: Status) -> list[str]:
    """What comes next, a line per configuration."""
    return [f"{game.game}: " + "; ".join(it.text for it in game.milestones) for game in status.games if game.milestones]


def wait_lines(status: Status) -> list[str]:
    """What is not done now, and why."""
    lines = [f"{wait.game}: {wait.what}: {wait.why}" for wait in status.waits]
    more = len(lines) - WAITS_SHOWN_MAX
    return lines[:WAITS_SHOWN_MAX] + ([f"and {more} more"] if more > 0 else [])


def section(title: str, lines: list[str]) -> RenderableType:
    """Lines beside their title."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(style="dim", width=9)
    table.add_column(overflow="fold")
    for number, line in enumerate(lines):
        table.add_row("" if number else title, Text(one_line(line)))
    return table


def _jobs(status: Status) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("job", "status", "progress", "CPU s", "MiB"):
        table.add_column(name, overflow="fold", justify="right" if name in {"CPU s", "MiB"} else "left")
    for job in status.jobs[:JOBS_SHOWN_MAX]:
        table.add_row(*(Text(cell) for cell in _job(job)))
    more = status.jobs_total - min(len(status.jobs), JOBS_SHOWN_MAX)
    if more > 0:
        table.add_row(f"and {more} more")
    return table


def _job(job: JobStatusRow) -> tuple[str, ...]:
    cpu = NOTHING if job.cpu_s is None else f"{job.cpu_s:.0f}"
    memory = NOTHING if job.rss_bytes is None else f"{job.rss_bytes / MIB:.0f}"
    return one_line(job.id), job.status, job.progress or job.reason, cpu, memory
