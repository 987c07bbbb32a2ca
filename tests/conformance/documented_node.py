"""A real node for the documents' commands, and the commands as they are run here."""

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.loading import load
from p2p.client.documented import IMPORTS, SCRIPTS
from p2p.promotion import PromoteWish, promote, rollback
from ringrift_core.commands.net import new_net
from ringrift_core.game.config_key import ConfigKey
from tests.conformance.document_rows import Row
from tests.conformance.snippets import Snippet
from tests.tidy import ROOT

BIN = Path(sys.executable).parent
GAME = "hex8_2p"
UP_S = 120.0  # for a node to answer, on a busy machine
RUN_S = 240.0  # for one command
SETTINGS = ("node.disk_floor_gb=0", "node.node_id=here", "node.disable_local_tasks=true")
CHAMPIONS = ("a", "b", "c", "d", "e")  # the documents roll back more than once
TINY = """\
node: {disk_floor_gb: 0, cores: 1}
evaluation: {games: 2, games_max: 2, anchors_max: 0}
"""
COMMANDS = {
    "master_loop.py": "ringrift loop",
    "unified_ai_loop.py": "ringrift loop",
    "auto_promote.py": "ringrift promote",
    "model_promotion_manager.py": "ringrift promote --board-type hex8 --num-players 2",
    "launch_daemons.py": "ringrift daemons",
    "p2p_orchestrator.py": "ringrift-p2p",
}


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a snippet."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class DocumentedNode:
    """A loop that works in `folder`; in `alone`, beside it, none does."""

    folder: Path
    alone: Path
    metrics_port: int
    port: int

    def run(self, row: Row, snippet: Snippet) -> Done:
        """Run a snippet as the row says."""
        text = self._adapted(row, snippet.text)
        if snippet.language == "python":
            with contextlib.chdir(self.folder):
                return executed(text, dict(row.names))
        environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RINGRIFT_P2P_URL": f"http://127.0.0.1:{self.port}",
        }
        folder = self.alone if row.alone else self.folder
        done = subprocess.run(
            ["bash", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_S,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def _adapted(self, row: Row, text: str) -> str:
        """A snippet as it is run here: paths by the reference page, ports of this node, and the row's own edits."""
        text = re.sub(r"(?:PYTHONPATH=\. )?(?:venv/bin/)?python scripts/(\w+\.py)", lambda it: COMMANDS[it[1]], text)
        for imported in IMPORTS:
            module = imported.theirs.rpartition(".")[0]
            text = text.replace(f"from {module} import", "from p2p.client import")
        for old, new in row.edits:
            assert old in text, f"{row.id}: there is no {old!r} in it"
            text = text.replace(old, new)
        text = text.replace("localhost:8770", f"localhost:{self.port}")
        text = text.replace("localhost:9090", f"localhost:{self.metrics_port}")
        text = text.replace("{no_ports}", "--set node.metrics_port=0 --set node.health_port=0")
        return text.replace("{root}", str(ROOT)).replace("{free_port}", str(free_port()))


def executed(text: str, names: dict[str, object]) -> Done:
    """Python with `await` at the top, in this process."""
    out = io.StringIO()
    code = compile(text, "snippet", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(out):
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(code, names))  # a code object of a coroutine: eval gives it
        else:
            exec(code, names)
    return Done(0, out.getvalue(), "")


@contextlib.contextmanager
def documented_node(root: Path) -> Iterator[DocumentedNode]:
    """A node on a bare folder, with a champion, one before it, and one that was taken back."""
    folder, alone = root / "node", root / "alone"
    for each in (folder, alone):
        (each / "models").mkdir(parents=True)
        (each / "tiny.yaml").write_text(TINY)
    nets = (*(folder / f"{name}.pth" for name in CHAMPIONS), folder / "models/my_model.pth")
    for number, path in enumerate(nets):
        new_net(path, GAME, "nano", number)
    (alone / "models/my_model.pth").write_bytes((folder / "models/my_model.pth").read_bytes())
    port, metrics_port = free_port(), free_port()
    sets = (*SETTINGS, f"node.metrics_port={metrics_port}", "node.health_port=0")
    words = [word for setting in sets for word in ("--set", setting)]
    command = [str(BIN / "ringrift-p2p"), "--data-dir", str(folder), "--port", str(port), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until_up(process, f"http://127.0.0.1:{port}/health")
        prepare_champions(folder)
        yield DocumentedNode(folder, alone, metrics_port, port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=60)
        finally:
            process.kill()


def wait_until_up(process: "subprocess.Popen[str]", url: str) -> None:
    """Wait until a node answers."""
    deadline = time.monotonic() + UP_S
    while True:
        assert process.poll() is None, process.communicate()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, f"no answer from {url}"
            time.sleep(0.1)


def prepare_champions(folder: Path) -> None:
    """Champions, the last one taken back."""
    settings = load(overrides={"node.data_dir": str(folder)}, environment={}).settings
    key = ConfigKey.parse(GAME)
    for name in CHAMPIONS:
        found = promote(settings, PromoteWish(key, folder / f"{name}.pth", force=True, reason="to begin with"), print)
        assert found.promoted, found
    assert rollback(settings, key, None, "to have a history").success


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


assert {row.theirs.rpartition("/")[2] for row in SCRIPTS} >= set(COMMANDS), "a command of no script"
