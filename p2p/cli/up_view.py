"""A local cluster as a picture for a terminal: outcomes first, then its nodes, then what is waited for."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from managers.line import one_line
from managers.milestones import span
from managers.outcomes import short
from managers.status_records import Status
from p2p.cli.loop_view import (
    NOTHING,
    RECENT_MAX,
    clock_line,
    expected_lines,
    games_table,
    section,
    summary_line,
    troubles,
    wait_lines,
)
from p2p.local_cluster.sight import ClusterSight, NodeSight, installed, not_yet, own_jobs

COLUMNS = ("node", "role", "address", "alive", "cores", "jobs", "games/h", "installed", "restarts")
NUMBERS = frozenset({"cores", "jobs", "games/h", "restarts"})
BUSY_MAX = 8  # jobs that are shown


def view_of(sight: ClusterSight) -> RenderableType:
    """The whole picture."""
    leading = sight.leading
    parts: list[RenderableType] = [_head(sight)]
    if leading is not None:
        parts += [*troubles(leading), games_table(leading), section("expected", expected_lines(leading))]
        parts.append(section("busy", list(_busy(sight))))
    parts += [_nodes(sight), section("leader", [leader_line(sight)]), section("waits", _waits(sight, leading))]
    if leading is not None:
        parts.append(section("lately", [clock_line(it) for it in leading.recent[-RECENT_MAX:]]))
    return Group(*parts)


def leader_line(sight: ClusterSight) -> str:
    """Who leads."""
    leading = sight.leading
    if leading is None:
        return "none: no node answers yet"
    if len(sight.clusters) > 1:
        clusters = f"they are in {len(sight.clusters)} clusters"
        return f"the nodes have not found each other: {clusters}; {leading.node_id} is shown"
    if leading.leader_id is None:
        return f"none yet; {leading.node_id} is shown"
    term = "" if leading.term is None else f", term {leading.term}"
    return f"{leading.leader_id}, epoch {leading.epoch}{term}"


def lines_of(sight: ClusterSight) -> Iterator[str]:
    """The same as plain lines."""
    leading = sight.leading
    if leading is not None:
        yield from (summary_line(game) for game in leading.games)
    alive = [node.plan.name for node in sight.nodes if node.status is not None]
    rate = "" if sight.games_per_s is None else f", {sight.games_per_s:.2f} games/s"
    yield f"{len(alive)} of {len(sight.nodes)} nodes answer{rate}; leader: {leader_line(sight)}"
    yield from (f"{node.plan.name}: {alive_text(node)}" for node in sight.nodes if node.status is None)
    if sight.aim:
        yield from not_yet(sight)
    if sight.kernels:
        yield sight.kernels


def alive_text(node: NodeSight) -> str:
    """Whether a node answers, or why not."""
    if node.status is None:
        return node.process if node.process != "running" else node.silence
    health = node.status.health
    return "yes" if health.status == "ok" else health.status


def _head(sight: ClusterSight) -> Text:
    head = Text(f"RingRift local cluster of {len(sight.nodes)}", "bold")
    rate = "" if sight.games_per_s is None else f", {sight.games_per_s:.2f} games/s"
    aim = f", until there is {sight.aim}" if sight.aim else ""
    head.append(f"  up {span(sight.uptime_s)}{rate}{aim}", "dim")
    leading = sight.leading
    if leading is not None and leading.halt is not None:
        text = one_line(f"halted by {leading.halt.by}: {leading.halt.reason}")
        head.append(f"\n{text}; `ringrift loop --resume --data-dir {leading.data_dir}` goes on", "bold yellow")
    return head


def _busy(sight: ClusterSight) -> Iterator[str]:
    """Jobs that run, trainings with their loss and gauntlets with their score first, as the nodes tell that do them."""
    found = [(node.plan.name, job) for node in sight.nodes for job in own_jobs(node)]
    found.sort(key=lambda it: it[1].kind == "selfplay")
    yield from (f"{name}: {job.kind} of {job.game}: {job.progress or 'begins'}" for name, job in found[:BUSY_MAX])


def _waits(sight: ClusterSight, leading: Status | None) -> list[str]:
    lines = list(not_yet(sight)) if sight.aim else []
    if leading is not None:
        lines += wait_lines(leading)
    return [*lines, sight.kernels] if sight.kernels else lines


def _nodes(sight: ClusterSight) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in COLUMNS:
        table.add_column(name, overflow="fold", justify="right" if name in NUMBERS else "left")
    for node in sight.nodes:
        table.add_row(*(Text(one_line(cell)) for cell in _cells(node, sight.games)))
    return table


def _cells(node: NodeSight, games: tuple[str, ...]) -> tuple[str, ...]:
    status = node.status
    nets = [short(sha256) for game in games if (sha256 := installed(node, game)) is not None]
    return (
        node.plan.name,
        NOTHING if status is None else status.role,
        node.plan.address,
        alive_text(node),
        f"{node.plan.cores}",
        f"{len(own_jobs(node))}",
        NOTHING if node.games_per_h is None else f"{node.games_per_h:.0f}",
        " ".join(nets) or NOTHING,
        f"{node.restarts}",
    )
