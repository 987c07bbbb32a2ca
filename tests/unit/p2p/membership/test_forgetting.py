"""An adopted id is cleared by hand, and only where no cluster has begun."""

import asyncio
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from managers.node_folder import NodeFolder
from managers.state_manager import StateManager
from p2p.adoption import FACT
from p2p.cli.node import app
from p2p.membership.bootstrap import Adoption
from p2p.membership.forgetting import forget
from p2p.membership.kept import keep_adoption
from ringrift_core.errors import RingriftError

ADOPTION = Adoption(cluster_id="d" * 32, proposer="p")


def adopted(root: Path, **facts: str) -> NodeFolder:
    folder = NodeFolder(root)
    folder.node_state.parent.mkdir()

    async def keep() -> None:
        async with StateManager(folder.node_state, time.monotonic) as kept:
            await keep_adoption(kept, ADOPTION)
            await kept.save_state(facts)

    asyncio.run(keep())
    return folder


def test_an_id_that_never_started_is_forgotten(tmp_path: Path):
    adopted(tmp_path)
    done = CliRunner().invoke(app, ["voters", "forget-id", "--data-dir", str(tmp_path)])
    assert (done.exit_code, "dddd" in done.output) == (0, True)
    assert forget(tmp_path) is None


def test_where_there_is_a_log_or_was_one_it_stays(tmp_path: Path):
    folder = adopted(tmp_path)
    folder.log.mkdir()
    (folder.log / "1.log").touch()
    with pytest.raises(RingriftError, match="its id stays"):
        forget(tmp_path)


def test_where_the_log_is_lost_it_stays(tmp_path: Path):
    adopted(tmp_path, **{FACT: "d" * 32})
    with pytest.raises(RingriftError, match="its id stays"):
        forget(tmp_path)


def test_a_folder_without_a_node_is_told(tmp_path: Path):
    with pytest.raises(RingriftError, match="--data-dir"):
        forget(tmp_path)
