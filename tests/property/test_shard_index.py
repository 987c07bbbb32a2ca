"""The index of shards against a dumb model: sets of what was ever seen, taken out, and is there."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ringrift_core.game.config_key import ConfigKey
from ringrift_core.selfplay.manifest import QUARANTINE
from ringrift_core.selfplay.shard_index import ShardIndex
from tests.manifests import manifest, put

KEY = ConfigKey.parse("hex8_2p")
SHARDS = 2
WHICH = st.integers(0, SHARDS - 1)
WHERE = st.integers(0, 1)


class Shards(RuleBasedStateMachine):
    """Two folders and two shards that come, go, are quarantined and come back; shard n has 10^n games."""

    def __init__(self) -> None:
        super().__init__()
        self.room = tempfile.TemporaryDirectory()
        self.root = Path(self.room.name)
        self.folders = [self.root / name for name in ("own", "fetched")]
        for folder in self.folders:
            (folder / QUARANTINE).mkdir(parents=True)
        self.index = ShardIndex(self.root / "index.sqlite")
        self.manifests = [manifest(number, games=10**number) for number in range(SHARDS)]
        self.there: set[tuple[int, int]] = set()  # as scanned
        self.counted: set[int] = set()
        self.steps = 0  # since the index was lost

    def path(self, where: int, which: int) -> Path:
        return self.folders[where] / f"{self.manifests[which].stem}.json"

    def bad(self, where: int, which: int) -> Path:
        return self.folders[where] / QUARANTINE / self.path(where, which).name

    @rule(where=WHERE, which=WHICH)
    def comes(self, where: int, which: int) -> None:
        self.bad(where, which).unlink(missing_ok=True)
        put(self.folders[where], self.manifests[which])

    @rule(where=WHERE, which=WHICH)
    def goes(self, where: int, which: int) -> None:
        self.path(where, which).unlink(missing_ok=True)

    @rule(where=WHERE, which=WHICH)
    def is_quarantined(self, where: int, which: int) -> None:
        if self.path(where, which).exists():
            self.path(where, which).replace(self.bad(where, which))

    @rule(where=WHERE)
    def scanned(self, where: int) -> None:
        self.steps += 1
        self.index.scan(self.folders[where])
        for which in range(SHARDS):
            if self.path(where, which).exists():
                self.there.add((where, which))
                self.counted.add(which)
            elif (where, which) in self.there:
                self.there.discard((where, which))
                elsewhere = (1 - where, which) in self.there
                if self.bad(where, which).exists() and not elsewhere:
                    self.counted.discard(which)

    @precondition(lambda self: self.steps > 3)
    @rule()
    def is_lost(self) -> None:
        self.steps = 0
        for path in self.root.glob("index.sqlite*"):
            path.unlink()
        self.there, self.counted = set(), set()

    @invariant()
    def totals_are_those_of_the_model(self) -> None:
        found = self.index.totals(KEY)
        assert found.games == sum(10**which for which in self.counted)
        assert found.shards == len(self.counted)
        assert found.shards_kept == len({which for _, which in self.there})

    def teardown(self) -> None:
        self.room.cleanup()


Shards.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestShards = Shards.TestCase
