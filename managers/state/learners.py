"""What is learned of each configuration: candidates, the current net, the champion and what is held against it.

The current net plays selfplay and is what the next candidate goes on from; the champion is what is published and played
against. Only `promote` and `roll_back` change the champion, each as a compare-and-set. A promotion begins a reign; the
candidates of a reign are counted, because each is tested more strictly than the one before.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from managers.state.record import Count, Digest, Elo, Game, Name, Record, Refused, Stem, Text, Time, shortened
from managers.state.tasks import (
    CanaryBlocks,
    CanaryOutcome,
    CanaryTask,
    GateForm,
    GauntletOutcome,
    GauntletTask,
    Rating,
    TrainingOutcome,
)
from ringrift_core.evaluation.odds import share_of_elo
from ringrift_core.game.config_key import ConfigKey

NETS_MAX = 2_000  # candidates that are remembered per configuration
REIGNS_MAX = 200
COUNTED_MAX = 10_000  # nodes whose data is counted; those that have left stay, or old games would be new again
BLOCKS_MAX = 5_000  # canary blocks of a reign that are remembered
ROLLBACKS_MAX = 1_000
BLOCKED_MAX = 1_000
DISASTER_ELO = -150.0  # a candidate this much weaker than the champion, or more, does not play selfplay


class NetStatus(StrEnum):
    """Where a candidate stands."""

    CANDIDATE = "candidate"  # waits for its gauntlet, or is in it
    UNJUDGED = "unjudged"  # no gauntlet was wished for, or it was given up
    PASSED = "passed"  # may be promoted while the champion it met is still champion
    NOT_PASSED = "not passed"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"


class Net(Record):
    """A net that the cluster made or was given."""

    sha256: Digest
    size_bytes: Count
    version: Count  # label
    parent: Digest | None
    at: Time
    samples_total: Count
    evaluations: Count
    job: Name | None  # the training that made it; None: given by a person
    status: NetStatus = NetStatus.CANDIDATE
    gauntlet: Stem | None = None  # the stored result
    against: Digest | None = None  # the champion it met there
    reason: Text = ""


class Reign(Record):
    """A champion, from when and why."""

    sha256: Digest
    seq: Count  # of the promotion: the name of the reign
    at: Time
    kind: Literal["gate", "manual", "rollback"]
    replaced: Digest | None
    evidence: Stem | None
    reason: Text
    elo: Elo | None = None  # its rating when the reign began


class Rollback(Record):
    """A champion that was taken back."""

    from_sha256: Digest
    to_sha256: Digest
    seq: Count
    at: Time
    trigger: Literal["manual", "auto_elo", "auto_error"]
    reason: Text
    metrics: dict[Name, float | None] = Field(default_factory=dict)


class SeenBlocks(CanaryBlocks):
    """Canary blocks and when they ended."""

    at: Time


class JobGames(Record):
    """Games of one job with the champion, and how many of them failed."""

    at: Time
    games: Annotated[int, Field(ge=1)]
    failed: Count


class Baseline(Record):
    """What the champion scored against an opponent in the gauntlet it was promoted by."""

    opponent: Digest
    blocks: tuple[Count, ...]


class DataCount(Record):
    """Everything that a node has ever had of a configuration, deleted shards included."""

    games: Count = 0
    rows: Count = 0
    evaluations: Count = 0
    newest_at: Time = 0.0


class Learner(Record):
    """Everything about one configuration."""

    game: Game
    nets: dict[str, Net] = Field(default_factory=dict)
    current: Digest | None = None
    reigns: tuple[Reign, ...] = ()  # the last one is the present one
    judged: Count = 0  # candidates whose gauntlet was queued in this reign
    blocked: dict[str, str] = Field(default_factory=dict)
    data: dict[str, DataCount] = Field(default_factory=dict)  # by node
    trained_rows: Count = 0  # rows there were when the latest completed training was queued
    trained_games: Count = 0
    trained_at: Time | None = None
    baselines: tuple[Baseline, ...] = ()
    seen: tuple[SeenBlocks, ...] = ()  # canary blocks of this reign
    job_games: tuple[JobGames, ...] = ()  # of this reign
    canaries: Count = 0  # that were queued in this reign
    canary_at: Time | None = None  # when the latest was queued
    rollbacks: tuple[Rollback, ...] = ()
    held: Text = ""  # why automatic rollbacks stand still until a person has looked
    ratings: tuple[Rating, ...] = ()
    rated_at: Time | None = None
    tally: dict[Name, Count] = Field(default_factory=dict)  # what ever happened (tally.py)

    @property
    def reign(self) -> Reign | None:
        """The present reign."""
        return self.reigns[-1] if self.reigns else None

    @property
    def champion(self) -> str | None:
        """The champion's digest."""
        return self.reigns[-1].sha256 if self.reigns else None

    @property
    def previous(self) -> str | None:
        """What a rollback would install: the newest earlier champion that is not blocked."""
        earlier = (reign.sha256 for reign in reversed(self.reigns[:-1]))
        return next((it for it in earlier if it != self.champion and it not in self.blocked), None)

    @property
    def total(self) -> DataCount:
        """The data of all nodes."""
        counts = self.data.values()
        return DataCount(
            games=sum(it.games for it in counts),
            rows=sum(it.rows for it in counts),
            evaluations=sum(it.evaluations for it in counts),
            newest_at=max((it.newest_at for it in counts), default=0.0),
        )

    def rating(self, sha256: str | None) -> Rating | None:
        """A net as it is judged, with the gate's search."""
        found = [rating for rating in self.ratings if rating.sha256 == sha256]
        return max(found, key=lambda rating: rating.sims or 0, default=None)

    def anchors(self, most: int) -> tuple[str, ...]:
        """Former champions, the latest first, that a candidate must not have lost against."""
        found: list[str] = []
        for reign in reversed(self.reigns):
            if reign.sha256 not in {self.champion, *found} and reign.sha256 not in self.blocked:
                found.append(reign.sha256)
        return tuple(found[:most])


def count_data(learner: Learner, node: str, count: DataCount) -> Learner:
    """A node's counts; they only grow, so an old report changes nothing."""
    if node not in learner.data and len(learner.data) >= COUNTED_MAX:
        raise Refused(f"the data of {COUNTED_MAX} nodes is counted already")
    known = learner.data.get(node, DataCount())
    grown = DataCount(
        games=max(known.games, count.games),
        rows=max(known.rows, count.rows),
        evaluations=max(known.evaluations, count.evaluations),
        newest_at=max(known.newest_at, count.newest_at),
    )
    if grown == known:
        raise Refused("nothing new is counted")
    return learner.model_copy(update={"data": {**learner.data, node: grown}})


def add_candidate(learner: Learner, made: TrainingOutcome, *, parent: str | None, job: str, at: float) -> Learner:
    """A trained net; it is the current one at once where there is no champion that it could be a disaster against."""
    net = Net(
        sha256=made.candidate,
        size_bytes=made.size_bytes,
        version=made.version,
        parent=parent,
        at=at,
        samples_total=made.samples_total,
        evaluations=made.evaluations,
        job=job,
        status=NetStatus.UNJUDGED,
    )
    learner = with_net(learner, net)
    return learner if learner.champion else learner.model_copy(update={"current": made.candidate})


def gauntlet_of(learner: Learner, candidate: str, form: GateForm, seed: int) -> tuple[Learner, GauntletTask]:
    """The next gauntlet of this reign, for a candidate that is there; it is counted."""
    net = known_net(learner, candidate)
    if candidate == learner.champion:
        raise Refused(f"{_short(candidate)} is the champion: it is not judged against itself")
    task = GauntletTask(
        game=learner.game,
        candidate=candidate,
        champion=learner.champion,
        anchors=learner.anchors(form.anchors_max),
        candidate_number=learner.judged + 1,
        seed=seed,
        form=form,
    )
    waiting = net.model_copy(update={"status": NetStatus.CANDIDATE, "reason": ""})
    return with_net(learner, waiting).model_copy(update={"judged": learner.judged + 1}), task


def qualify(learner: Learner, task: GauntletTask, *, games: int, wins: int) -> Learner:
    """The first games of a gauntlet: no disaster makes the candidate the current net."""
    candidate = task.candidate
    if task.champion != learner.champion:
        raise Refused("the champion it met is not champion any more")
    if task.form.asked or games < task.form.qualify_games or wins > games:
        wanted = "none" if task.form.asked else f"{task.form.qualify_games} games at least"
        raise Refused(f"won {wins} of {games} games is not what this gauntlet was asked for: {wanted}")
    net = known_net(learner, candidate)
    if candidate in learner.blocked:
        raise Refused(f"{_short(candidate)} is blocked: {learner.blocked[candidate]}")
    least = share_of_elo(DISASTER_ELO, ConfigKey.parse(learner.game).players)
    if wins <= least * games:
        raise Refused(f"won {wins} of {games} games against the champion: a disaster, it plays no selfplay")
    current = learner.nets.get(learner.current or "")
    if current is not None and current.at > net.at:
        raise Refused("a newer net is current already")
    return learner.model_copy(update={"current": candidate})


def judge(learner: Learner, task: GauntletTask, outcome: GauntletOutcome, at: float) -> Learner:
    """What a gauntlet found."""
    net = known_net(learner, task.candidate)
    status = NetStatus.PASSED if outcome.verdict == "passed" else NetStatus.NOT_PASSED
    if net.status in {NetStatus.PROMOTED, NetStatus.ROLLED_BACK}:  # by hand, while it was judged
        status = net.status
    judged = net.model_copy(
        update={"status": status, "gauntlet": outcome.result, "against": task.champion, "reason": outcome.reason}
    )
    return rate(with_net(learner, judged), outcome.ratings, at)


def give_up(learner: Learner, candidate: str, reason: str) -> Learner:
    """The gauntlet of a candidate ended without a verdict."""
    net = learner.nets.get(candidate)
    if net is None or net.status is not NetStatus.CANDIDATE:
        return learner
    return with_net(learner, net.model_copy(update={"status": NetStatus.UNJUDGED, "reason": shortened(reason)}))


def promote(learner: Learner, reign: Reign, *, expected: str | None, baselines: tuple[Baseline, ...]) -> Learner:
    """A new champion, if the present one is the expected one and nothing speaks against it."""
    if learner.champion != expected:
        raise Refused(f"the champion is {_short(learner.champion)}, not {_short(expected)}")
    if reign.sha256 == learner.champion:
        raise Refused(f"{_short(reign.sha256)} is the champion already")
    net = known_net(learner, reign.sha256)
    if reign.kind == "gate":
        if reign.sha256 in learner.blocked:
            raise Refused(f"{_short(reign.sha256)} is blocked: {learner.blocked[reign.sha256]}")
        if net.status is not NetStatus.PASSED or net.gauntlet != reign.evidence or net.against != expected:
            raise Refused(f"{_short(reign.sha256)} has not passed a gauntlet against {_short(expected)}")
    changes: dict[str, object] = {"blocked": _without(learner.blocked, reign.sha256)}
    if learner.current is None:
        changes["current"] = reign.sha256
    promoted = net.model_copy(update={"status": NetStatus.PROMOTED})
    return _crowned(with_net(learner, promoted), reign, baselines).model_copy(update=changes)


def roll_back(learner: Learner, rollback: Rollback) -> Learner:
    """The champion before, again; what it replaces is blocked and plays no more selfplay."""
    if learner.champion != rollback.from_sha256:
        raise Refused(f"the champion is {_short(learner.champion)}, not {_short(rollback.from_sha256)}")
    if rollback.to_sha256 == rollback.from_sha256:
        raise Refused("a rollback leads to another net")
    if all(reign.sha256 != rollback.to_sha256 for reign in learner.reigns):
        raise Refused(f"{_short(rollback.to_sha256)} was never champion")
    bad = known_net(learner, rollback.from_sha256).model_copy(
        update={"status": NetStatus.ROLLED_BACK, "reason": rollback.reason}
    )
    good = known_net(learner, rollback.to_sha256).model_copy(update={"status": NetStatus.PROMOTED})
    learner = with_net(with_net(learner, bad), good)
    reign = Reign(
        sha256=rollback.to_sha256,
        seq=rollback.seq,
        at=rollback.at,
        kind="rollback",
        replaced=rollback.from_sha256,
        evidence=None,
        reason=rollback.reason,
    )
    blocked = _blocked(_without(learner.blocked, rollback.to_sha256), rollback.from_sha256, rollback.reason)
    current = rollback.to_sha256 if learner.current == rollback.from_sha256 else learner.current
    rollbacks = (*learner.rollbacks, rollback)[-ROLLBACKS_MAX:]
    return _crowned(learner, reign, ()).model_copy(
        update={"blocked": blocked, "current": current, "rollbacks": rollbacks}
    )


def observe(learner: Learner, model: str, outcome: CanaryOutcome, at: float) -> Learner:
    """Canary games of the champion; those of a former one count no more."""
    players = ConfigKey.parse(learner.game).players
    if any(won > players for blocks in outcome.blocks for won in blocks.wins):
        raise Refused(f"nobody wins more than {players} games of a block of {learner.game}")
    learner = rate(learner, outcome.ratings, at)
    if model != learner.champion:
        return learner
    seen = tuple(SeenBlocks(at=at, **blocks.model_dump()) for blocks in outcome.blocks)
    return learner.model_copy(update={"seen": (*learner.seen, *seen)[-BLOCKS_MAX:]})


def count_job(learner: Learner, task: CanaryTask, *, failed: bool, at: float) -> Learner:
    """A shadow tournament was played, or could not be: a champion that nobody can load loses nothing but is no good."""
    if task.model != learner.champion:
        return learner
    games = task.games * len(task.opponents)
    job = JobGames(at=at, games=games, failed=games if failed else 0)
    return learner.model_copy(update={"job_games": (*learner.job_games, job)[-BLOCKS_MAX:]})


def rate(learner: Learner, ratings: tuple[Rating, ...], at: float) -> Learner:
    """The latest ratings, where there are any."""
    return learner.model_copy(update={"ratings": ratings, "rated_at": at}) if ratings else learner


def known_net(learner: Learner, sha256: str) -> Net:
    """A net of the configuration."""
    net = learner.nets.get(sha256)
    if net is None:
        raise Refused(f"no net of {learner.game} has the digest {_short(sha256)}")
    return net


def with_net(learner: Learner, net: Net) -> Learner:
    """The learner with a net put in or changed; of too many the oldest go that nobody needs."""
    nets = {**learner.nets, net.sha256: net}
    needed = {learner.current, net.sha256, *(reign.sha256 for reign in learner.reigns)}
    spare = [it for it in nets if it not in needed and nets[it].status is not NetStatus.CANDIDATE]
    for sha256 in spare[: max(0, len(nets) - NETS_MAX)]:
        del nets[sha256]
    return learner.model_copy(update={"nets": nets})


def _crowned(learner: Learner, reign: Reign, baselines: tuple[Baseline, ...]) -> Learner:
    """A new reign: nothing was seen of it yet, its candidates are counted from one."""
    rating = learner.rating(reign.sha256)
    begun = reign.model_copy(update={"elo": None if rating is None else rating.elo})
    return learner.model_copy(
        update={
            "reigns": (*learner.reigns, begun)[-REIGNS_MAX:],
            "judged": 0,
            "baselines": baselines,
            "seen": (),
            "job_games": (),
            "canaries": 0,
            "canary_at": None,
            "held": "",
        }
    )


def _blocked(blocked: dict[str, str], sha256: str, reason: str) -> dict[str, str]:
    grown = {**blocked, sha256: blocked.get(sha256, reason)}
    for name in list(grown)[: max(0, len(grown) - BLOCKED_MAX)]:
        del grown[name]
    return grown


def _without(blocked: dict[str, str], sha256: str) -> dict[str, str]:
    return {name: reason for name, reason in blocked.items() if name != sha256}


def _short(digest: str | None) -> str:
    return "none" if digest is None else digest[:16]
