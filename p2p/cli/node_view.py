"""Answers of a node as tables and lines for a terminal."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from p2p.cli.answers import DaemonRow, EventRow, JobRow, ModelRow, NodeRow, Place, VoterRow, VotersSaid, as_line

NOTHING = "-"
DIGEST_CHARS = 10
GIB = 1 << 30
MIB = 1 << 20
PAYLOAD_CHARS_MAX = 200


def place_line(place: Place) -> str:
    """What a node is in its cluster; "" when it does not say so."""
    if not place.role:
        return ""
    parts = [f"role {place.role}"]
    if place.leader_id is not None and place.role != "leader":
        parts.append(f"leader {place.leader_id}")
    parts += [f"{name} {value}" for name, value in (("term", place.term), ("epoch", place.epoch)) if value is not None]
    if place.alive_peer_count is not None:
        parts.append(f"{place.alive_peer_count} other nodes alive")
    if place.cluster_id is not None:
        parts.append(f"cluster {place.cluster_id}")
    return ", ".join(parts)


def jobs_table(jobs: Iterable[JobRow], total: int) -> Table:
    """Jobs, a line each, and how many more there are."""
    table = _table("job", "game", "status", "node", "attempts", "progress or reason")
    shown = 0
    for job in jobs:
        words = job.progress or job.why or job.reason
        _add(table, job.id, job.game, job.status, job.node, _count(job.attempts), words)
        shown += 1
    if total > shown:
        _add(table, f"and {total - shown} more")
    return table


def job_lines(content: Mapping[str, object]) -> list[str]:
    """Everything that is said of a job, why it stands as it does first."""
    first = [name for name in ("id", "status", "why") if name in content]
    return [f"{as_line(name)}: {value_text(content[name])}" for name in dict.fromkeys((*first, *content))]


def nodes_table(nodes: Iterable[NodeRow]) -> Table:
    """Members, a line each."""
    table = _table("node", "alive", "cores", "GPUs", "memory", "session", "versions")
    for node in nodes:
        name = f"{node.node_id} (this one)" if node.self else node.node_id
        alive = NOTHING if node.alive is None else "yes" if node.alive else "no"
        memory = None if node.memory_bytes is None else f"{node.memory_bytes / GIB:.0f} GiB"
        parts = (node.versions or {}).items()
        versions = ", ".join(f"{part} {value_text(value)[:DIGEST_CHARS]}" for part, value in parts)
        state = f"{alive}, draining" if node.draining else alive
        state = f"{state}, unfit: {node.unfit}" if node.unfit else state
        _add(table, name, state, node.cores, _count(node.gpus), memory, node.session, versions or None)
    return table


def voters_lines(said: VotersSaid) -> list[str]:
    """What stands above and below the table of voters."""
    leader = "nobody leads" if said.leader_id is None else f"leader {said.leader_id}"
    numbers = (("term", said.term), ("epoch", said.epoch), ("seq", said.seq), ("version", said.version))
    known = [f"{name} {value}" for name, value in numbers if value is not None]
    lines = [", ".join([leader, *known, f"cluster {said.cluster_id or 'none'}", f"as {said.node_id} sees it"])]
    if not said.voters:
        lines.append("a cluster of one: nobody else has to agree")
    if said.trouble:
        lines.append(f"the state cannot be written from there: {said.trouble}")
    if said.waits_for:
        lines.append(f"waits {said.waits_for}")
    return lines


def voters_table(voters: Iterable[VoterRow]) -> Table:
    """Voters, a line each."""
    table = _table("node", "place", "connected", "missing for", "epoch", "seq", "version", "trouble")
    for it in voters:
        connected = None if it.connected is None else "yes" if it.connected else "no"
        missing = None if it.missing_s is None else f"{it.missing_s:.0f} s"
        _add(table, it.node, it.place, connected, missing, it.epoch, it.seq, it.version, it.trouble or None)
    return table


def models_table(models: Iterable[ModelRow]) -> Table:
    """Versions of nets, a line each."""
    table = _table("game", "version", "sha256", "role", "status", "Elo", "made", "MiB")
    for model in models:
        elo = None if model.elo is None else f"{model.elo:.0f}"
        size = None if model.size_bytes is None else f"{model.size_bytes / MIB:.1f}"
        digest = model.sha256[:DIGEST_CHARS]
        _add(table, model.game, model.version, digest, model.role, model.status, elo, _day_text(model.at), size)
    return table


def daemons_table(daemons: Mapping[str, DaemonRow]) -> Table:
    """Services, a line each."""
    table = _table("daemon", "state", "critical", "restarts", "last error")
    for name, daemon in daemons.items():
        _add(table, name, daemon.state, "yes" if daemon.critical else "", daemon.restarts, daemon.last_error)
    return table


def event_line(event: EventRow) -> str:
    """An event as a line; times are those of this machine's zone."""
    at = event.timestamp
    time = _at(at).strftime("%Y-%m-%d %H:%M:%S") if isinstance(at, float) else (at or NOTHING)
    payload = value_text(event.payload) if event.payload else ""
    words = payload if len(payload) <= PAYLOAD_CHARS_MAX else f"{payload[: PAYLOAD_CHARS_MAX - 1]}…"
    return " ".join(part for part in (str(event.seq), time, event.type, event.source, words) if part)


def value_text(value: object) -> str:
    """Whatever a node says, in one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return str(as_line(text))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *cells: object) -> None:
    table.add_row(*(Text(NOTHING if cell is None else str(cell)) for cell in cells))


def _count(value: object) -> str:
    return str(len(value)) if isinstance(value, list | tuple) else NOTHING if value is None else str(value)


def _day_text(at: float | None) -> str | None:
    return None if at is None else _at(at).strftime("%Y-%m-%d %H:%M")


def _at(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone()
    except (OverflowError, ValueError, OSError):  # a node may say any number
        return datetime.fromtimestamp(0, UTC)
