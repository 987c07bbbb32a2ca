"""Selfplay of three nodes of one machine, as `up` starts them, against that of one loop; JSON on standard output.

    python -m benchmarks.mesh_selfplay [--game hex8_2p] [--sims 16] [--processes 2] [--turns 6] [--seconds 20]

Both sides have the same cores and play with the same random nano net; training waits for games that never come. The
nodes' side has all that a cluster does: three control processes, three voters, shards that are brought to two nodes.
How it is counted: selfplay_sides.py.
"""

import argparse
import http.client
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic

from benchmarks.loop_selfplay import NEVER, answer, arguments, loop_command, shown
from benchmarks.selfplay_sides import READY_S, Rates, Side, await_ready, ended, in_turns, registered, started
from config.loading import load
from managers.node_folder import NodeFolder
from p2p.cli.up import make_token, refuse_taken
from p2p.local_cluster.plan import NodePlan, Told, arguments_of, plan_of
from ringrift_core.errors import RulesError
from ringrift_core.storage import make_folder

NODES = 3
PORT = 18_770  # of the first one
WARM_S = 12.0  # after they were stopped: they elect, hear of each other, and know their jobs again


def plans(asked: argparse.Namespace, folder: Path) -> tuple[NodePlan, ...]:
    """The nodes, with the cores divided among them as `up` does."""
    node = load(overrides={"node.data_dir": str(folder), "node.port": PORT}).settings.node
    found = plan_of(node, NODES, asked.processes, many_hosts=sys.platform == "linux")
    refuse_taken(found)
    make_folder(folder)
    make_token(found[0].token_file)
    return found


def node_command(plan: NodePlan, asked: argparse.Namespace) -> list[str]:
    """A node that says what its jobs do."""
    settings = {"selfplay.sims": str(asked.sims), "training.trigger_threshold_games": str(NEVER)}
    words = arguments_of(plan, Told(games=(asked.game,), assignments=settings))
    return [sys.executable, "-m", "benchmarks.selfplay_node", *words]


def force(nodes: Side, plan: NodePlan, asked: argparse.Namespace, net: Path) -> None:
    """Make a net the champion, as soon as somebody leads the nodes; RulesError when that takes too long."""
    board, _, players = asked.game.rpartition("_")
    wish = {
        "model_path": str(net), "force": True, "reason": "benchmark",
        "board_type": board, "num_players": int(players[0]),
    }  # fmt: skip
    until = monotonic() + READY_S
    while True:
        with suppress(OSError, http.client.HTTPException), closing(connection_to(plan)) as connection:
            connection.request("POST", "/admin/distribute-model", json.dumps(wish))
            reply = connection.getresponse()
            content = reply.read()
            if reply.status < http.HTTPStatus.BAD_REQUEST:
                return
            if reply.status in {http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.UNPROCESSABLE_ENTITY}:
                raise RulesError(f"the nodes refuse the net: {content!r}")
        if monotonic() > until:
            raise RulesError(f"the nodes take no net within {READY_S:g} s")
        nodes.listen(1.0)


def connection_to(plan: NodePlan) -> http.client.HTTPConnection:
    """A connection to a node."""
    return http.client.HTTPConnection(plan.host, plan.port, timeout=READY_S)


def measure(asked: argparse.Namespace, folder: Path, on_turn: Callable[[str], None]) -> dict[str, Rates]:
    """Both sides in turns: their medians."""
    nodes = plans(asked, folder / "mesh")
    loop, first = NodeFolder(folder / "loop"), NodeFolder(nodes[0].folder)
    for it in (loop, first):
        make_folder(it.root)
    registered(loop, asked.game)
    net = first.net(registered(first, asked.game))
    sides: list[Side] = []
    try:
        sides.append(Side([started(node_command(plan, asked)) for plan in nodes], WARM_S))
        force(sides[0], nodes[0], asked, net)
        await_ready(sides, asked.processes)
        sides.append(Side([started(loop_command(loop, asked))]))
        await_ready(sides, asked.processes)
        return in_turns(("mesh", sides[0]), ("loop", sides[1]), asked.turns, asked.seconds, on_turn)
    finally:
        ended(sides)


def main() -> None:
    """One measurement."""
    asked = arguments(__doc__ or "")
    with tempfile.TemporaryDirectory() as name:
        print(answer(asked, measure(asked, Path(name), shown), "mesh", "loop"))


if __name__ == "__main__":
    main()
