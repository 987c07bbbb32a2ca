"""The machine of bytes: dumps, foreign forms, hostile bytes."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from managers.state import commands as asked
from managers.state.cluster_state import Answered, ClusterState, Result, Transition
from managers.state.commands import Command, decode, encode
from managers.state.jobs import Job
from managers.state.learners import DataCount, Learner, Net, SeenBlocks
from managers.state.machine import StateMachine
from managers.state.record import TEXT_MAX
from managers.state.tasks import GateForm, Opponent, SelfplayTask, TrainingOutcome, TrainingTask
from ringrift_core.errors import StorageError
from tests.commanded import (
    GAME,
    OTHER_GAME,
    Commanded,
    canary,
    canary_outcome,
    digest,
    gauntlet_outcome,
    promotion,
    rollback,
    selfplay,
    selfplay_outcome,
    training,
    training_outcome,
)

MACHINE = StateMachine()
BODY = asked.CountData(game=GAME, node="n1", count=DataCount(games=1))
COMMAND = encode(Command(client="a", sequence=1, at=5.0, body=BODY))
# the fields of these that the records of a full state leave as they are, and why
NEVER_OTHER = {
    ("ClusterState", "form"),  # there is one
    ("Result", "transitions"),  # happened once, are not kept
    *((name, "kind") for name in ("SelfplayTask", "TrainingTask", "GauntletTask", "CanaryTask")),
    *((name, "kind") for name in ("SelfplayOutcome", "TrainingOutcome", "GauntletOutcome", "CanaryOutcome")),
}


@pytest.fixture(scope="module")
def full() -> ClusterState:
    """A state in which every field of every record is something else than its default somewhere."""
    cluster = Commanded()
    a, b, c, d = map(digest, range(4))
    cluster.do(asked.Found(cluster_id="a" * 32))
    _join_fully(cluster)
    cluster.do(asked.TakeRole(role="LEADER", node="n1", session=3, lease_s=30, term=2))
    cluster.do(asked.SetVoters(voters=("n1",)))
    _train_everything(cluster, a)
    cluster.crowned(b)
    cluster.crowned(c)
    cluster.do(rollback(expected=c, to=b))
    outcome = gauntlet_outcome(rated=d)
    job = cluster.gauntlet(d)
    cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=outcome))
    job = cluster.queued(canary(b))
    cluster.do(asked.Fail(job=job, fence=cluster.leased(job), reason="it broke", retry_after_s=None))
    for _ in range(2):
        job = cluster.queued(canary(b))
        cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=canary_outcome(rated=b)))
    cluster.do(asked.CountData(game=GAME, node="n1", count=DataCount(games=5, rows=6, evaluations=7, newest_at=8)))
    cluster.do(asked.HoldRollbacks(game=GAME, reason="two in a day"))
    _queue_everything(cluster, a)
    cluster.crowned(c, OTHER_GAME)
    cluster.do(asked.AddNet(game=OTHER_GAME, sha256=a, size_bytes=1, version=0, parent=b, samples_total=5))
    cluster.do(asked.Drain(node="n1"))
    cluster.do(asked.HaltAll(by="me", reason="smöke"))
    cluster.ask(asked.HaltAll(by="me", reason=""), "refused")
    cluster.ask(asked.Enqueue(task=selfplay(), priority=1), "queued a job")
    return cluster.state


def _join_fully(cluster: Commanded) -> None:
    body = asked.Join(
        node="n1",
        session=3,
        cores=8,
        gpus=1,
        memory_bytes=1 << 40,
        public_key="A" * 43,
        addresses=("n1:8770",),
        raft_address="n1:8771",
        spot=True,
        protocol=1,
        rules="0a1b",
    )
    cluster.do(body)


def _train_everything(cluster: Commanded, net: str) -> None:
    form = GateForm(
        games=30,
        games_max=300,
        random=0.8,
        heuristic=0.5,
        champion=0.4,
        qualify_games=32,
        anchors_max=1,
        priority=9,
        attempts_max=4,
        asked=True,
    )
    task = TrainingTask(
        game=GAME, parent=digest(77), size="nano", seed=9, steps=10, rows_made=11, games_made=12, batch=64,
        learning_rate=1e-3, weight_decay=1e-5, ema=0.99, root_share=0.1, ownership_weight=0.2, score_weight=0.25,
        passes=3.5, max_age_hours=1.5, save_every=10, precision="fp32", gate=form,
    )  # fmt: skip
    made = TrainingOutcome(**{**training_outcome(net).model_dump(), "losses": {"policy": 1.25, "value": 1 / 3}})
    job = cluster.queued(task)
    result = cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=made))
    assert result.job is not None
    outcome = gauntlet_outcome(rated=net)
    cluster.do(asked.Complete(job=result.job, fence=cluster.leased(result.job), outcome=outcome))
    cluster.do(promotion(net, expected=None))


def _queue_everything(cluster: Commanded, net: str) -> None:
    task = SelfplayTask(
        game=GAME, model=net, games=50, sims=8, cheap_sims=4, full_share=0.25, opening_max=2, drawn_decisions=3,
        opponents=(Opponent(model="random", share=0.125),),
    )  # fmt: skip
    done = cluster.queued(task)
    cluster.do(asked.Complete(job=done, fence=cluster.leased(done), outcome=selfplay_outcome()))
    unlucky = cluster.queued(selfplay())
    cluster.do(asked.Fail(job=unlucky, fence=cluster.leased(unlucky), reason="it broke"))
    cluster.do(asked.Enqueue(task=training(gate=GateForm()), priority=1, cores=2, attempts_max=7))
    running = cluster.queued(selfplay())
    cluster.leased(running)
    cluster.do(asked.Expire(node="n1", session=3))
    cluster.do(asked.Start(job=running, fence=cluster.leased(running)))


def test_a_state_is_the_same_after_a_dump_and_a_load(full: ClusterState):
    dump = MACHINE.dump(full)
    loaded = MACHINE.load(dump)
    assert loaded == full
    assert MACHINE.dump(loaded) == dump, "the order of its tables too, which decides what is forgotten first"


def test_the_round_trip_saw_every_field(full: ClusterState):
    """A field that is always at its default could be lost in a dump and nobody would see it."""
    other, known = set(), set()
    for record in records_in(full):
        for name, field in type(record).model_fields.items():
            known.add((type(record).__name__, name))
            if getattr(record, name) != field.get_default(call_default_factory=True, validated_data={}):
                other.add((type(record).__name__, name))
    assert known - other == NEVER_OTHER
    assert {type(it) for it in records_in(full)} >= {Job, Net, SeenBlocks, Learner, Answered, Result}
    assert Transition not in {type(it) for it in records_in(full)}


def test_a_new_state_knows_nobody_and_nothing():
    assert MACHINE.initial() == ClusterState()
    assert MACHINE.load(MACHINE.dump(MACHINE.initial())) == MACHINE.initial()
    assert MACHINE.initial().seq == 0


# ---- damaged dumps ----


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"unknown": 1}'])
def test_what_is_no_dump_is_a_storage_error(content):
    with pytest.raises(StorageError, match="no state: "):
        MACHINE.load(content)


def test_a_cut_dump_is_a_storage_error(full: ClusterState):
    dump = MACHINE.dump(full)
    for length in range(0, len(dump), len(dump) // 50):
        with pytest.raises(StorageError):
            MACHINE.load(dump[:length])


def test_a_dump_of_another_form_is_a_storage_error():
    with pytest.raises(StorageError, match=r"ringrift\.state/2"):
        MACHINE.load(b'{"form": "ringrift.state/2"}')


@pytest.mark.parametrize(
    ("field", "value"),
    [("seq", -1), ("now", None), ("learners", {"x": {"game": "hex9_2p"}}), ("halt", {"by": "me"}), ("jobs", [])],
)
def test_a_dump_that_holds_the_impossible_is_a_storage_error_that_names_the_place(full: ClusterState, field, value):
    content = json.loads(MACHINE.dump(full))
    content[field] = value
    with pytest.raises(StorageError, match=f"no state: {field}"):
        MACHINE.load(json.dumps(content).encode())


# ---- commands as bytes ----


def test_a_command_is_the_same_after_its_bytes():
    command = Command(client="a", sequence=1, at=5.25, body=BODY)
    assert decode(encode(command)) == command


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"", b"x", "Invalid JSON"),
        (b"hex8_2p", b"hex9_2p", "there is no game 'hex9_2p'"),
        (b'"count_data"', b'"count_sheep"', "body: "),
        (b'"sequence":1', b'"sequence":0', "sequence: "),
        (b'"at":5.0', b'"at":NaN', "at: "),
        (b'"at":5.0', b'"at":1e11', "at: "),
        (b'"at":5.0', b'"at":-1', "at: "),
        (b'"client":"a"', b'"client":""', "client: "),
        (b'"games":1', b'"games":4611686018427387904', "games: "),
        (b'"games":1', b'"geese":1', "geese: "),
        (b'"n1"', b'"\\ud800"', "Invalid JSON"),
    ],
)
def test_bytes_that_are_no_command_are_refused_with_the_place(old, new, reason):
    content = COMMAND.replace(old, new, 1) if old else new
    state, result = MACHINE.apply(MACHINE.initial(), content)
    assert state == MACHINE.initial()
    assert not result.accepted
    assert result.reason.startswith("no command: ")
    assert reason in result.reason


def test_a_refusal_of_bytes_is_a_text_that_fits():
    content = COMMAND.replace(b'"games"', b'"' + b"x" * 10_000 + b'"')
    _, result = MACHINE.apply(MACHINE.initial(), content)
    assert not result.accepted
    assert len(result.reason) <= TEXT_MAX


def test_a_long_reason_is_shortened_once():
    command = Command(client="a", sequence=1, at=5.0, body=asked.HaltAll(by="me", reason="x" * 5000))
    assert isinstance(command.body, asked.HaltAll)
    assert len(command.body.reason) == TEXT_MAX
    assert command.body.reason.endswith("…")
    assert decode(encode(command)) == command


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_no_bytes_raise(content: bytes):
    state, result = MACHINE.apply(MACHINE.initial(), content)
    assert (state, result.accepted) == (MACHINE.initial(), False)


@given(st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_no_damage_to_a_command_raises(data: st.DataObject):
    content = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    state, result = MACHINE.apply(MACHINE.initial(), bytes(content))
    assert result.accepted == (state.seq == 1)
    try:
        assert MACHINE.load(MACHINE.dump(state)) == state
    except StorageError as error:  # pragma: no cover
        raise AssertionError(f"a state that does not load, by {bytes(content)!r}") from error


def test_what_is_damaged_is_sound_before():
    for content in SAMPLES:
        with pytest.raises(ValidationError):
            decode(content[:-1])
        assert encode(decode(content)) == content


def _command(body: asked.Body) -> bytes:
    return encode(Command(client="a", sequence=1, at=5.0, body=body))


SAMPLES = (
    COMMAND,
    _command(asked.Enqueue(task=training(gate=GateForm()), priority=3)),
    _command(asked.Enqueue(task=selfplay(), priority=3)),
    _command(asked.Complete(job="j", fence=3, outcome=gauntlet_outcome(rated=digest(3)))),
    _command(asked.Complete(job="j", fence=3, outcome=canary_outcome())),
    _command(asked.Join(node="n1", session=1, cores=2)),
    _command(asked.AddNet(game=GAME, sha256=digest(1), size_bytes=2, version=1, parent=None)),
    _command(rollback(expected=digest(1), to=digest(2))),
    _command(asked.HaltAll(by="me", reason="smöke")),
)


def records_in(value: object) -> Iterator[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from records_in(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from records_in(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from records_in(item)


OLD_JOIN = (  # of a version whose nodes had no keys, as it stands in logs
    b'{"version":1,"client":"n1/1/JOIN","sequence":1,"at":5.0,"body":{"kind":"join","node":"n1","session":1,'
    b'"cores":2,"gpus":0,"memory_bytes":7}}'
)
OLD_STATE = (
    b'{"form":"ringrift.state/1","seq":1,"now":5.0,"jobs":{"active":{},"finished":{}},"learners":{},"members":{"n1":'
    b'{"node":"n1","session":1,"cores":2,"gpus":0,"memory_bytes":7,"joined_at":5.0,"draining":false}},"roles":{},'
    b'"halt":null,"answered":{"n1/1/JOIN":{"sequence":1,"result":{"accepted":true,"seq":1,"reason":"","job":null,'
    b'"transitions":[]}}}}'
)


def test_logs_and_dumps_from_before_keys_and_cluster_ids_are_read_and_go_on():
    state, result = MACHINE.apply(MACHINE.initial(), OLD_JOIN)
    assert result.accepted
    assert state == MACHINE.load(OLD_STATE)
    assert (state.cluster_id, state.members["n1"].public_key) == ("", "")
    bodies: tuple[asked.Body, ...] = (
        asked.Found(cluster_id="a" * 32),
        asked.Join(node="n1", session=2, cores=2, public_key="A" * 43),
    )
    for sequence, body in enumerate(bodies, 1):
        state, result = MACHINE.apply(state, encode(Command(client="n1/2", sequence=sequence, at=6.0, body=body)))
        assert result.accepted
