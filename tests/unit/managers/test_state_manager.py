"""What a node keeps beside the replicated state: bounded, durable, never on the loop's thread."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from managers import node_store, state_manager
from managers.circuit_breaker import BreakerRow
from managers.gpu_probe import Gpu, Gpus
from managers.node_store import (
    AHEAD_S,
    CODES_MAX,
    FACTS_MAX,
    HOUR_S,
    OTHER,
    SAMPLES_S,
    VALUE_BYTES_MAX,
    Json,
    NodeStore,
    RefusalCount,
    ResourceSample,
)
from managers.ports import BusyError
from managers.resource_watch import Resources
from managers.state_manager import StateManager
from ringrift_core.errors import RulesError, StorageError

NOW = 1_900_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "node.sqlite"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_manager, "BATCH_S", 0.0)


def during(path: Path, work: Callable[[StateManager], Awaitable[object]], clock=lambda: NOW):
    """What a piece of work returns, in one life of a node."""

    async def life() -> object:
        async with StateManager(path, clock) as state:
            return await work(state)

    return asyncio.run(life())


def sample(at: float, **more: object) -> ResourceSample:
    return ResourceSample(at, 100, 200, 3.5, **more)  # type: ignore[arg-type]


# ---- facts and the epoch ----


def test_facts_outlive_a_restart_and_none_forgets_one(path: Path):
    facts: dict[str, Json] = {
        "cluster_id": "3fa9",
        "clock_offset_s": -0.25,
        "seen": [1, {"a": None}],
        "on": True,
        "ä\n": "",
    }
    during(path, lambda state: state.save_state(facts))
    assert during(path, lambda state: state.load_state()) == facts
    during(path, lambda state: state.save_state({"cluster_id": None, "seen": 2, "unknown": None}))
    assert during(path, lambda state: state.load_state()) == {"clock_offset_s": -0.25, "seen": 2, "on": True, "ä\n": ""}


def test_the_cluster_epoch_never_falls(path: Path):
    async def work(state: StateManager) -> list[int]:
        seen = [await state.get_cluster_epoch()]
        for epoch in (5, 3, 12):
            await state.see_epoch(epoch)
            seen.append(await state.get_cluster_epoch())
        await state.save_state({"cluster_epoch": 7})
        return [*seen, await state.get_cluster_epoch()]

    assert during(path, work) == [0, 5, 5, 12, 12]
    assert during(path, lambda state: state.get_cluster_epoch()) == 12


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"": 1}, "a name of 1 to 100 letters"),
        ({"x" * 101: 1}, "a name of 1 to 100 letters"),
        ({"a": "x" * VALUE_BYTES_MAX}, "at most 65536 are kept"),
        ({"a": float("nan")}, "cannot be kept as JSON"),
        ({"a": {1, 2}}, "cannot be kept as JSON"),
        ({"cluster_epoch": -1}, "is a whole number from 0"),
        ({"cluster_epoch": True}, "is a whole number from 0"),
        ({"cluster_epoch": None}, "is a whole number from 0"),
        ({"cluster_epoch": 1 << 62}, "is a whole number from 0"),
        ({"\ud800": 1}, "cannot be kept"),
        ({str(number): 1 for number in range(FACTS_MAX + 1)}, f"at most {FACTS_MAX} facts"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_changes_nothing(path: Path, facts, message):
    async def work(state: StateManager) -> object:
        await state.save_state({"kept": 1})
        refused, *_ = await asyncio.gather(
            state.save_state(facts), state.save_state({"beside": 2}), return_exceptions=True
        )
        assert isinstance(refused, RulesError)
        assert message in str(refused)
        return await state.load_state()

    assert during(path, work) == {"kept": 1, "beside": 2}


# ---- what is counted ----


def test_one_sample_a_minute_is_kept_for_48_hours(path: Path):
    async def work(state: StateManager) -> list[float]:
        for at in (0.0, 10.0, 60.0, SAMPLES_S + 50.0):
            await state.add_sample(sample(NOW + at))
        return [it.at - NOW for it in await state.samples()]

    assert NOW % 60 < 50
    assert during(path, work) == [60.0, SAMPLES_S + 50.0]
    assert during(path, lambda state: state.samples(since=NOW + 61))[0].at == NOW + SAMPLES_S + 50


def test_samples_of_a_clock_that_was_ahead_are_forgotten(path: Path):
    async def work(state: StateManager) -> list[float]:
        await state.add_sample(sample(NOW + AHEAD_S + 60))
        await state.add_sample(sample(NOW))
        return [it.at for it in await state.samples()]

    assert during(path, work) == [NOW]


@pytest.mark.parametrize("at", [float("nan"), -1.0, 1e15])
def test_a_sample_of_no_time_is_refused(path: Path, at: float):
    with pytest.raises(RulesError, match="unix seconds"):
        during(path, lambda state: state.add_sample(sample(at)))


def test_a_sample_sums_up_the_gpus_that_work():
    gpus = (Gpu(0, memory_free_bytes=10, busy_percent=50.0), Gpu(1, trouble="lost"), Gpu(2, memory_free_bytes=5))
    found = Resources(1, 2, 3, 4, 5.0, 6, 7, gpus=Gpus(gpus))
    assert ResourceSample.of(found, 9.0) == ResourceSample(9.0, 1, 3, 5.0, 2, 15, 50.0)
    assert ResourceSample.of(Resources(1, 2, 3, 4, 5.0, 6, 7), 9.0) == ResourceSample(9.0, 1, 3, 5.0, 0, None, None)


def test_refusals_are_counted_by_hour_and_code_for_seven_days(path: Path):
    now = [NOW]

    async def work(state: StateManager) -> tuple[RefusalCount, ...]:
        await state.count_refusal("replayed")
        now[0] += HOUR_S
        await state.count_refusal("replayed", 2)
        await state.count_refusal("malformed")
        await state.count_refusal("replayed")
        now[0] += 7 * 24 * HOUR_S
        await state.count_refusal("late")
        return await state.refusals()

    hour = int(NOW // HOUR_S)
    assert during(path, work, lambda: now[0]) == (
        RefusalCount(hour + 1, "malformed", 1),
        RefusalCount(hour + 1, "replayed", 3),
        RefusalCount(hour + 1 + 7 * 24, "late", 1),
    )


def test_codes_are_bounded_and_a_hostile_one_hurts_nobody(path: Path):
    async def work(state: StateManager) -> dict[str, int]:
        await asyncio.gather(*(state.count_refusal(f"code {number}") for number in range(CODES_MAX + 7)))
        await state.count_refusal("code 1")
        with pytest.raises(RulesError):
            await state.count_refusal("code 1", 1 << 70)
        return {it.code: it.count for it in await state.refusals()}

    found = during(path, work)
    assert (len(found), found[OTHER], found["code 1"]) == (CODES_MAX + 1, 7, 2)


def test_circuits_are_kept_as_they_last_were(path: Path):
    during(path, lambda state: state.save_breakers([BreakerRow("a", 3, "why", NOW), BreakerRow("b", 1, "", None)]))
    during(path, lambda state: state.save_breakers([BreakerRow("c", 2, "ä", None)]))
    assert during(path, lambda state: state.breakers()) == (BreakerRow("c", 2, "ä", None),)


# ---- the file ----


def nothing(_: StateManager) -> Awaitable[None]:
    return asyncio.sleep(0)


def note_of(path: Path) -> str:
    async def life() -> str:
        async with StateManager(path, lambda: NOW) as state:
            return state.note

    return asyncio.run(life())


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for at in range(4096 + 3, len(content), 61):
        content[at] ^= 0xFF
    path.write_bytes(content)


DAMAGE = {
    "garbage": lambda path: path.write_bytes(b"no database" * 1000),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:6000]),
    "flipped": flipped,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_set_aside_and_begun_anew(path: Path, kind: str):
    during(path, lambda state: state.save_state({str(number): "x" * 200 for number in range(FACTS_MAX)}))
    DAMAGE[kind](path)
    damaged = path.read_bytes()
    note = note_of(path)
    assert "damaged" in note
    assert note.endswith("set aside as node.sqlite.damaged, a new one is begun")
    assert path.with_name("node.sqlite.damaged").read_bytes() == damaged
    assert during(path, lambda state: state.load_state()) == {}
    assert note_of(path) == ""


def test_an_empty_file_is_a_new_one(path: Path):
    path.parent.mkdir()
    path.touch()
    assert note_of(path) == ""


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA user_version = 7", "of version 7, this program knows 1: use the program that wrote it, or move"),
        ("PRAGMA application_id = 5", "belongs to another program"),
    ],
)
def test_a_newer_or_foreign_file_is_refused_and_left_alone(path: Path, statement, message):
    during(path, lambda state: state.save_state({"a": 1}))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    with pytest.raises(StorageError, match=message):
        during(path, nothing)
    assert path.read_bytes() == before


def test_an_older_file_is_brought_up_to_date_and_keeps_what_it_has(path: Path, monkeypatch: pytest.MonkeyPatch):
    during(path, lambda state: state.save_state({"a": 1}))
    steps = (*node_store.MIGRATIONS, ("CREATE TABLE more (x)",), ("ALTER TABLE more ADD COLUMN y", "no statement"))
    monkeypatch.setattr(node_store, "MIGRATIONS", steps)
    with pytest.raises(StorageError, match="syntax error"):
        during(path, nothing)
    monkeypatch.setattr(node_store, "MIGRATIONS", (*steps[:-1], steps[-1][:1]))
    assert during(path, lambda state: state.load_state()) == {"a": 1}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("SELECT x, y FROM more").fetchall() == []


def test_a_folder_in_the_way_is_said(path: Path):
    path.mkdir(parents=True)
    with pytest.raises(StorageError, match="make the folder writable"):
        during(path, nothing)


def test_a_full_disk_refuses_writes_and_reads_go_on(path: Path):
    def pages(state: StateManager, number: int) -> Awaitable[object]:
        return state._read(lambda store: store._opened().execute(f"PRAGMA max_page_count = {number}").fetchall())

    async def work(state: StateManager) -> list[object]:
        await state.save_state({"a": 1})
        await pages(state, 1)
        with pytest.raises(StorageError, match="the disk is full: free some space"):
            await state.save_state({str(number): "x" * 60_000 for number in range(5)})
        full = await state.load_state()
        await pages(state, 1000)
        await state.save_state({"b": 2})
        return [full, await state.load_state()]

    assert during(path, work) == [{"a": 1}, {"a": 1, "b": 2}]


# ---- the thread ----


def test_sqlite_is_touched_by_the_threads_own_thread_only(path: Path, monkeypatch: pytest.MonkeyPatch):
    """A connection of sqlite3 refuses every other thread than the one that made it."""
    made: list[tuple[int, dict[str, object]]] = []
    connect = sqlite3.connect

    def watched(*given, **named):
        made.append((threading.get_ident(), named))
        return connect(*given, **named)

    monkeypatch.setattr(sqlite3, "connect", watched)

    async def work(state: StateManager) -> None:
        await state.save_state({"a": 1})
        await state.add_sample(sample(NOW))
        await asyncio.gather(state.samples(), state.refusals(), state.breakers(), state.get_cluster_epoch())

    during(path, work)
    ((thread, named),) = made
    assert thread != threading.get_ident()
    assert named.get("check_same_thread", True) is True


def test_a_thousand_writes_share_few_transactions_and_all_are_there(path: Path, monkeypatch: pytest.MonkeyPatch):
    transactions: list[int] = []
    write = NodeStore.write

    def counted(store: NodeStore, actions) -> None:
        transactions.append(len(actions))
        write(store, actions)

    monkeypatch.setattr(NodeStore, "write", counted)

    async def work(state: StateManager) -> None:
        await asyncio.gather(*(state.count_refusal(f"code {number % 7}") for number in range(1000)))

    during(path, work)
    assert sum(transactions) == 1000
    assert len(transactions) < 50
    assert sum(it.count for it in during(path, lambda state: state.refusals())) == 1000


def test_a_read_sees_the_writes_that_were_acknowledged_before(path: Path):
    async def work(state: StateManager) -> list[object]:
        seen: list[object] = []
        for number in range(20):
            await state.save_state({"n": number})
            seen.append((await state.load_state())["n"])
        return seen

    assert during(path, work) == list(range(20))


class Hang:
    """A disk that does not answer until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        write = NodeStore.write

        def slow(store: NodeStore, actions) -> None:
            self.reached.set()
            self.go.wait(30)
            write(store, actions)

        monkeypatch.setattr(NodeStore, "write", slow)


def test_what_waits_for_the_disk_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_manager, "WAITING_MAX", 3)
    hang = Hang(monkeypatch)

    async def work(state: StateManager) -> list[object]:
        first = asyncio.ensure_future(state.count_refusal("a"))
        await asyncio.to_thread(hang.reached.wait, 30)
        others = [asyncio.ensure_future(state.count_refusal("a")) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="3 calls wait"):
            await others[3]
        hang.go.set()
        return list(await asyncio.gather(first, *others[:3]))

    assert during(path, work) == [None] * 4


def test_closing_writes_what_waits(path: Path, monkeypatch: pytest.MonkeyPatch):
    hang = Hang(monkeypatch)

    async def life() -> None:
        async with StateManager(path, lambda: NOW) as state:
            tasks = [asyncio.ensure_future(state.count_refusal("a")) for _ in range(50)]
            await asyncio.to_thread(hang.reached.wait, 30)
            hang.go.set()
        await asyncio.gather(*tasks)
        with pytest.raises(StorageError, match="is closed"):
            await state.load_state()

    asyncio.run(life())
    assert during(path, lambda state: state.refusals())[0].count == 50


def test_closing_waits_for_a_hung_disk_only_so_long(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_manager, "CLOSE_S", 0.02)
    hang = Hang(monkeypatch)

    async def life() -> None:
        async with StateManager(path, lambda: NOW) as state:
            first = asyncio.ensure_future(state.count_refusal("a"))
            await asyncio.to_thread(hang.reached.wait, 30)
            second = asyncio.ensure_future(state.count_refusal("a"))
            await asyncio.sleep(0)
        with pytest.raises(StorageError, match="was closed before this was done"):
            await second
        hang.go.set()
        await first  # it was being written; the disk has answered since

    asyncio.run(life())


def test_a_disk_that_hangs_is_waited_for_only_so_long(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_manager, "ANSWER_S", 0.02)
    hang = Hang(monkeypatch)

    async def work(state: StateManager) -> None:
        with pytest.raises(StorageError, match=r"no answer in 0\.02 s; check the disk"):
            await state.count_refusal("a")
        hang.go.set()

    during(path, work)


def test_an_opening_that_hangs_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_manager, "OPEN_S", 0.02)
    go = threading.Event()
    monkeypatch.setattr(NodeStore, "open", lambda _: str(go.wait(30)))
    try:
        with pytest.raises(StorageError, match="has not answered"):
            during(path, nothing)
    finally:
        go.set()
