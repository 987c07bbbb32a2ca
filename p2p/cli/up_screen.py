"""Screens of a local cluster as plain lines or JSON lines; the live picture is loop_screen's."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TextIO

from managers.line import one_line
from managers.outcomes import Outcome
from managers.state.record import Record
from managers.status_records import Status
from p2p.cli.loop_screen import Writer
from p2p.cli.loop_view import clock_line
from p2p.cli.up_view import alive_text, lines_of
from p2p.local_cluster.sight import ClusterSight, installed, not_yet, own_jobs

SUMMARY_S = 30.0  # between two summaries in plain lines
PICTURE_S = 5.0  # between two pictures in JSON


class NodeLine(Record):
    """A node in a line of JSON."""

    node_id: str
    address: str
    data_dir: str
    process: str  # running, starting, starts again, given up, ended
    pid: int | None
    alive: str  # yes, halted, failing, or why it does not answer
    role: str | None
    cores: int
    jobs: int
    games_per_h: float | None
    installed: dict[str, str]  # digest of the champion that is installed, by game
    restarts: int


class ClusterLine(Record):
    """The cluster in a line of JSON."""

    at: float  # unix seconds
    event: str = "cluster"
    uptime_s: float
    leader_id: str | None
    epoch: int
    cluster_ids: tuple[str, ...]  # one, once the nodes have found each other
    games_per_s: float | None
    champions: dict[str, str]
    missing: tuple[str, ...]  # until every game has a champion on every node
    nodes: tuple[NodeLine, ...]


class News:
    """What the leading node tells of, each outcome once, whichever node it is."""

    def __init__(self) -> None:
        self._told: set[tuple[float, str, str]] = set()

    def of(self, status: Status | None) -> Iterator[Outcome]:
        """What is new; only what is still told is remembered."""
        recent = () if status is None else status.recent
        keys = {(it.at, it.event, it.text) for it in recent}
        yield from (it for it in recent if (it.at, it.event, it.text) not in self._told)
        self._told = keys if status is not None else self._told


class PlainScreen:
    """Outcomes as lines, and a summary now and then."""

    def __init__(self, writer: Writer, out: TextIO) -> None:
        self._writer = writer
        self._out = out
        self._news = News()
        self._summed_at: float | None = None

    def show(self, sight: ClusterSight) -> None:
        """What is new, and a summary, if the last one is a while ago."""
        for outcome in self._news.of(sight.leading):
            self.say(clock_line(outcome))
        if self._summed_at is None or sight.uptime_s - self._summed_at >= SUMMARY_S:
            self._summed_at = sight.uptime_s
            for line in lines_of(sight):
                self.say(line)

    def say(self, text: str) -> None:
        """A line."""
        line = one_line(text)
        self._writer.put(lambda: print(line, file=self._out, flush=True))


class JsonScreen:
    """Outcomes, what is said, and the cluster now and then, an object each."""

    def __init__(self, writer: Writer, out: TextIO, wall: Callable[[], float]) -> None:
        self._writer = writer
        self._out = out
        self._wall = wall
        self._news = News()
        self._shown: tuple[object, ...] = ()
        self._shown_at = 0.0

    def show(self, sight: ClusterSight) -> None:
        """What is new; the cluster when a node's standing has changed, or after a while."""
        for outcome in self._news.of(sight.leading):
            self._print(outcome)
        line = cluster_line(sight, self._wall())
        standing = (line.leader_id, line.missing, *((it.pid, it.process, it.alive, it.role) for it in line.nodes))
        if standing != self._shown or sight.uptime_s - self._shown_at >= PICTURE_S:
            self._shown, self._shown_at = standing, sight.uptime_s
            self._print(line)

    def say(self, text: str) -> None:
        """As an outcome of its own event."""
        self._print(Outcome(at=self._wall(), event="said", weight="step", text=text))

    def _print(self, record: Record) -> None:
        line = record.model_dump_json()
        self._writer.put(lambda: print(line, file=self._out, flush=True))


class EndLine(Record):
    """The last line of JSON."""

    event: str = "ended"
    code: int
    reached: bool  # what it was to run until
    seconds: float
    cpu_s: float  # of all processes that were started
    files: dict[str, tuple[str, ...]]  # canonical nets by game


def cluster_line(sight: ClusterSight, at: float) -> ClusterLine:
    """A cluster as a record."""
    leading = sight.leading
    return ClusterLine(
        at=at,
        uptime_s=sight.uptime_s,
        leader_id=None if leading is None else leading.leader_id,
        epoch=0 if leading is None else leading.epoch,
        cluster_ids=sight.clusters,
        games_per_s=sight.games_per_s,
        champions={} if leading is None else {game: it.sha256 for game, it in leading.champions.items()},
        missing=tuple(not_yet(sight)),
        nodes=tuple(
            NodeLine(
                node_id=node.plan.name,
                address=node.plan.address,
                data_dir=str(node.plan.folder),
                process=node.process,
                pid=node.pid,
                alive=alive_text(node),
                role=None if node.status is None else node.status.role,
                cores=node.plan.cores,
                jobs=len(own_jobs(node)),
                games_per_h=node.games_per_h,
                installed={game: it for game in sight.games if (it := installed(node, game)) is not None},
                restarts=node.restarts,
            )
            for node in sight.nodes
        ),
    )


def wall() -> float:
    """Unix seconds."""
    return datetime.now(UTC).timestamp()
