"""Three nodes on loopback: shards lie on two of them and count when they do; champions and what jobs need come."""

import asyncio
import hashlib
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from config.schema import Settings
from config.sections import ExchangeSettings, NodeSettings
from managers.data_counter import DataCounter
from managers.node_folder import NodeFolder
from managers.ports import LaunchError
from managers.state.commands import CountData, Leave
from managers.state.tasks import GateForm, GauntletTask, SelfplayTask
from p2p.exchange.exchange import Exchange, Surroundings
from ringrift_core.evaluation.gauntlet_result import write_gauntlet
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.registry import ModelRegistry
from ringrift_core.registry.model_version import ModelVersion, Stage
from ringrift_core.storage import make_folder
from tests.commanded import digest, training
from tests.exchange_files import GAME, NOON, content_of, fresh, intake_of, put_shard
from tests.mesh_nodes import Mesh
from tests.unit.managers.verdicts import played

NAMES = ("n1", "n2", "n3")
Test = Callable[["World"], Awaitable[None]]


@dataclass
class Node:
    """One node's folder, settings and exchange."""

    settings: Settings
    champions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = NodeFolder(self.settings.node.data_dir)
        self.counter = DataCounter(self.settings, self.folder)

    def serve(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.counter.announced = exchange.shards.announced

    def make(self, number: int, *, rows: int = 10, chunks: float = 0.1) -> str:
        """A shard of its own, of two games; its stem."""
        manifest = put_shard(self.folder.shards(GAME), content_of(chunks, seed=number), hour=number, rows=rows)
        return manifest.stem

    def put_net(self, content: bytes) -> str:
        """Any bytes as a net of the registry; their digest."""
        sha256 = hashlib.sha256(content).hexdigest()
        make_folder(self.folder.net(sha256).parent)
        self.folder.net(sha256).write_bytes(content)
        with ModelRegistry(self.folder.models)._index.write() as rows:
            rows.add(version_of(sha256, len(content)), "a test")
        return sha256

    def shards(self) -> set[str]:
        """The stems of all shards here."""
        return {path.stem for path in self.folder.root.glob(f"data/*/{GAME}/*.json")}


def version_of(sha256: str, size_bytes: int) -> ModelVersion:
    """A row of a registry's index."""
    return ModelVersion(
        key=ConfigKey.parse(GAME), version=1, sha256=sha256, size_bytes=size_bytes, stage=Stage.DEVELOPMENT,
        arch="nano", rules_digest=RULES_DIGEST, label=1, trained_at="2026-01-01T00:00:00+00:00", elo=None, parent=None,
        data={}, train={}, gauntlet={}, registered_at=NOON,
    )  # fmt: skip


class World:
    """Nodes that share a state."""

    def __init__(self, root: Path, exchange: ExchangeSettings) -> None:
        self.mesh = Mesh()
        self.root = root
        self.settings = exchange
        self.silent: set[str] = set()
        self.nodes: dict[str, Node] = {}
        self.reading = False

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def join(self, name: str) -> Node:
        """A member with an empty folder."""
        self.mesh.join(name)
        settings = NodeSettings(node_id=name, data_dir=self.root / name)
        node = self.nodes[name] = Node(Settings(games=(GAME,), node=settings, exchange=self.settings))
        return node

    @asynccontextmanager
    async def running(self, *names: str) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for name in names:
                calls = await stack.enter_async_context(self.mesh.calls(name))
                self[name].serve(Exchange(self.around(self[name]), calls, fresh()))
                await stack.enter_async_context(self.mesh.serving(name, self[name].exchange.handlers))
            yield

    def around(self, node: Node) -> Surroundings:
        return Surroundings(
            node=node.settings.node.node_id,
            settings=node.settings,
            folder=node.folder,
            state=lambda: self.mesh.state,
            silent=lambda: self.silent,
            champions=lambda: node.champions,
            reading=lambda: self.reading,
            admit=intake_of(node.folder),
        )

    async def look(self, *names: str) -> int:
        """One look of each; how many shards came."""
        return sum([await self[name].exchange.shards.look() for name in names or self.nodes])

    def count(self, name: str) -> int | None:
        """The games that a node would tell to the state now; None when nothing new."""
        bodies = self[name].counter.decide(self.mesh.state).bodies
        told = [body.count.games for body in bodies if isinstance(body, CountData)]
        return told[0] if told else None


def run(tmp_path: Path, test: Test, names: tuple[str, ...] = NAMES, **exchange: float) -> None:
    async def inside() -> None:
        world = World(tmp_path, ExchangeSettings(**exchange))
        for name in names:
            world.join(name)
        async with world.running(*names):
            await test(world)

    asyncio.run(inside())


def test_a_shard_counts_once_another_node_has_verified_it(tmp_path: Path):
    async def test(world: World) -> None:
        await world.look()  # nothing is there: from now on shards need a copy
        stems = {world["n1"].make(number) for number in (1, 2)}
        assert world.count("n1") is None
        await world.look("n1")
        assert world.count("n1") is None
        assert await world.look("n2", "n3") == 2
        assert world["n2"].shards() | world["n3"].shards() == stems
        assert not world["n2"].shards() & world["n3"].shards()
        await world.look("n1")
        assert world.count("n1") == 4
        assert [world.count(name) for name in ("n2", "n3")] == [None, None]
        assert await world.look() == 0

    run(tmp_path, test)


def test_what_is_announced_stays_so_after_a_restart_without_the_others(tmp_path: Path):
    async def test(world: World) -> None:
        await world.look()
        world["n1"].make(1)
        await world.look("n2", "n3", "n1")
        assert world.count("n1") == 2
        world["n1"].make(2)
        for name in ("n2", "n3"):
            shutil.rmtree(world[name].folder.root / "data")
        async with world.running("n1"):
            await world.look("n1")
            assert world.count("n1") == 2

    run(tmp_path, test)


def test_alone_every_shard_counts_and_goes_on_to_when_others_come(tmp_path: Path):
    async def test(world: World) -> None:
        world["n1"].make(1)
        await world.look("n1")
        assert world.count("n1") == 2
        assert not world["n1"].folder.announced.exists()
        world.join("n2")
        async with world.running("n1", "n2"):
            await world.look("n1")
            assert world.count("n1") == 2
            world["n1"].make(2)
            await world.look("n1")
            assert world.count("n1") == 2
            await world.look("n2", "n1")
            assert world.count("n1") == 4

    run(tmp_path, test, ("n1",))


def test_a_shard_that_lost_a_copy_gets_another_one(tmp_path: Path):
    async def test(world: World) -> None:
        stem = world["n1"].make(1)
        await world.look()
        (holder,) = (name for name in ("n2", "n3") if stem in world[name].shards())
        (other,) = {"n2", "n3"} - {holder}
        world.silent = {"n1"}
        await world.look(holder, other)
        assert stem in world[other].shards()

    run(tmp_path, test)


def test_the_newest_shards_that_fit_are_kept_and_none_is_removed_while_a_training_reads(tmp_path: Path):
    async def test(world: World) -> None:
        old = [world["n1"].make(number, chunks=1) for number in (1, 2)]
        await world.look("n2")
        assert world["n2"].shards() == set(old)
        new = world["n1"].make(3, chunks=1)
        world.reading = True
        await world.look("n2")
        assert world["n2"].shards() == set(old)
        world.reading = False
        await world.look("n2")
        assert world["n2"].shards() == {old[1], new}
        assert await world.look("n2") == 0

    run(tmp_path, test, ("n1", "n2"), shards_gb=0.0022)


def test_a_champion_comes_from_its_maker_and_is_told_by_everybody(tmp_path: Path):
    async def test(world: World) -> None:
        sha256 = world["n1"].put_net(content_of(2.5))
        world.mesh.cluster.crowned(sha256)
        for name in ("n2", "n3"):
            assert await world[name].exchange.models.look() == 1
            assert world[name].folder.net(sha256).read_bytes() == content_of(2.5)
            assert await world[name].exchange.models.look() == 0
            world[name].champions[GAME] = sha256
        await world["n1"].exchange.peers.look()
        assert world["n1"].exchange.peers.champions == {"n2": {GAME: sha256}, "n3": {GAME: sha256}}

    run(tmp_path, test)


def test_a_champion_whose_maker_is_gone_comes_from_whoever_has_it(tmp_path: Path):
    async def test(world: World) -> None:
        sha256 = world["n3"].put_net(content_of(0.5))
        world.mesh.cluster.crowned(sha256)
        world.mesh.cluster.do(Leave(node="n1"))
        assert await world["n2"].exchange.models.look() == 1

    run(tmp_path, test)


def test_a_gauntlet_that_was_played_elsewhere_comes_to_whoever_decides(tmp_path: Path):
    async def test(world: World) -> None:
        task = GauntletTask(game=GAME, candidate=digest(7), champion=None, candidate_number=1, seed=1, form=GateForm())
        path = write_gauntlet(world["n1"].folder.results(GAME), played(task))
        world.mesh.cluster.judged(digest(7), result=path.stem)
        assert await world["n2"].exchange.models.look() == 1
        assert world["n2"].folder.gauntlet(GAME, path.stem).read_bytes() == path.read_bytes()

    run(tmp_path, test)


def test_a_job_waits_for_its_net_and_a_net_that_nobody_has_hinders_it(tmp_path: Path):
    async def test(world: World) -> None:
        sha256, cluster = world["n1"].put_net(b"a net"), world.mesh.cluster
        there, nowhere = (cluster.job(cluster.queued(SelfplayTask(game=GAME, model=model, sims=8)))
                          for model in (sha256, "f" * 64))  # fmt: skip
        inputs = world["n2"].exchange.inputs
        await inputs.ready(there)
        assert world["n2"].folder.net(sha256).read_bytes() == b"a net"
        with pytest.raises(LaunchError, match=r"net ffffffffffffffff of hex8_2p cannot be fetched: ") as refused:
            await inputs.ready(nowhere)
        assert re.findall(r"(n\d): .*?404", str(refused.value)) in (["n1", "n3"], ["n3", "n1"])  # asked in any order

    run(tmp_path, test)


def test_a_training_gets_the_newest_shards_of_its_window(tmp_path: Path):
    async def test(world: World) -> None:
        stems = [world["n1"].make(number, rows=200_000) for number in range(4)]
        cluster = world.mesh.cluster
        job = cluster.job(cluster.queued(training(rows_made=800_000)))
        await world["n2"].exchange.inputs.ready(job)
        assert world["n2"].shards() == set(stems[1:])

    run(tmp_path, test, ("n1", "n2"))


def test_what_a_node_loses_is_noticed_by_the_others(tmp_path: Path):
    async def test(world: World) -> None:
        stems = [world["n1"].make(number) for number in range(3)]
        peers = world["n2"].exchange.peers
        await peers.look()
        assert len(peers.places("shard")) == 3
        for path in world["n1"].folder.shards(GAME).glob(f"{stems[0]}*"):
            path.unlink()
        await peers.look()
        assert len(peers.places("shard")) == 2

    run(tmp_path, test, ("n1", "n2"))


def test_games_that_only_silent_nodes_held_are_said_to_be_missing_until_one_is_back(tmp_path: Path):
    async def test(world: World) -> None:
        shared = world["n1"].make(1)
        await world.look("n2", "n3")
        for number in (2, 3):
            world["n1"].make(number)
        for name in ("n2", "n3"):
            await world[name].exchange.peers.look()
            assert world[name].exchange.shards.missing == ()
        world.silent = {"n1"}
        await world.look("n2", "n3")
        (told,) = world["n2"].exchange.shards.missing
        assert (told.game, told.nodes, told.shards, told.games) == (GAME, ("n1",), 2, 4)
        assert world["n3"].exchange.shards.missing == (told,)
        assert shared in world["n2"].shards() | world["n3"].shards()
        world.silent = set()
        await world.look("n2", "n3")
        assert world["n2"].exchange.shards.missing == ()

    run(tmp_path, test)
