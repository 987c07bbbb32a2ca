"""What `ringrift loop` refuses before it does anything, and the names of its games."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.environment import ConfigError
from config.schema import Settings
from config.sections import NodeSettings
from p2p.cli.loop import games_of, ordered
from p2p.cli.main import app
from p2p.orchestrator import named_as_before, opened_state
from ringrift_core.errors import RingriftError
from tests.loop_states import NODE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--status"], "no loop has worked there; say --data-dir"),
        (["--halt"], "no loop has worked there; say --data-dir"),
        (["--watch"], "no node runs in"),
        (["--game", "hex9_2p"], "hex9_2p"),
        (["--set", "training.step=3"], "training.steps"),
        (["--seed", "1", "--set", "seed=2"], "seed is said twice on the command line"),
        (["--set", "safety.min_memory_gb=100000"], "set safety.min_memory_gb"),
        (["--halt", "--resume"], "say one of --watch, --status, --halt and --resume"),
        (["--game", "hex8_2p", "--num-players", "2"], "say either --game or"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(tmp_path: Path, arguments: list[str], message: str):
    done = CliRunner().invoke(app, ["loop", "--data-dir", str(tmp_path / "new"), *arguments])
    said = done.output if isinstance(done.exception, SystemExit) else str(done.exception)
    assert isinstance(done.exception, ConfigError | RingriftError | SystemExit)
    assert message in said
    assert not (tmp_path / "new").exists()


def test_several_games_are_one_word_each():
    assert games_of("hex8_2p, square8_2p", None, None) == ("hex8_2p", "square8_2p")
    assert games_of(None, "square8", 3) == ("square8_3p",)
    assert games_of(None, None, 3) == ("hex8_3p",)
    assert games_of(None, None, None) is None


def test_a_halt_is_written_where_no_loop_runs_and_stands_until_it_is_taken_back(tmp_path: Path):
    settings = Settings(node=NodeSettings(data_dir=tmp_path))

    async def run() -> list[tuple[bool, str]]:
        async with opened_state(settings):
            pass
        return [await ordered(settings, name, "why") for name in ("halt", "halt", "resume", "resume")]

    assert asyncio.run(run()) == [
        (True, ""),
        (False, "halted already by admin"),
        (True, ""),
        (False, "nothing is halted"),
    ]


def test_a_folder_keeps_the_name_of_its_node(tmp_path: Path):
    folder = NodeSettings(data_dir=tmp_path)
    assert named_as_before(Settings(node=folder), NODE).node.node_id == NODE
    assert named_as_before(Settings(node=folder), None).node == folder
    said = Settings(node=NodeSettings(data_dir=tmp_path, node_id="another"))
    with pytest.raises(ConfigError, match="is the folder of the node here, not another"):
        named_as_before(said, NODE)
