"""Promotions and rollbacks over HTTP: numbers for what takes long, errors that say what to write."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application

from config.schema import Settings
from managers.launcher.local_launcher import LocalLauncher
from managers.model_installer import ModelInstaller
from managers.node_folder import NodeFolder
from managers.own_record import OwnRecord
from managers.pipeline import REQUESTS, Pipeline
from managers.promotion_desk import REQUESTS_MAX
from managers.proposer import Proposer
from managers.runtime.event_router import EventRouter
from managers.state import LocalConsensus
from managers.state.commands import Promote
from managers.state.machine import StateMachine
from p2p.http.distribution_api import distribution_handlers
from p2p.http.errors import errors_as_answers
from p2p.http.node_api import mounted
from p2p.http.promotion_api import promotion_handlers
from ringrift_core.registry.admission import admit
from tests.unit.managers.verdicts import BEGAN, GAME, KEY, added
from tests.unit.registry.nets import NOW, SavedNet, family

HEX8 = {"board_type": "hex8", "num_players": 2}
Client = TestClient[Any, Any]


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> list[SavedNet]:
    return family(tmp_path_factory.mktemp("nets"), 2)


def asked(
    root: Path, nets: list[SavedNet], ask: Callable[[Client, Pipeline], Awaitable[Any]], *, serving: bool = True
) -> Any:
    """Ask a node that knows these nets, the first ones former champions; with or without its desk at work."""
    folder = NodeFolder(root)
    for net in nets:
        admit(folder.models, net.path, KEY, NOW)

    async def main() -> Any:
        async with LocalConsensus(StateMachine(), None) as consensus:
            launcher = LocalLauncher(folder.jobs, folder.logs)
            router = EventRouter("n", "1", lambda: BEGAN)
            pipeline = Pipeline(
                Settings(),
                consensus,
                launcher,
                folder,
                lambda: BEGAN,
                own=OwnRecord(session=1),
                router=router,
                duty=REQUESTS,
            )
            installer = ModelInstaller(Settings(), folder)
            consensus.on_applied(lambda _before, after, _result: void(installer.install(after, BEGAN)))
            proposer = Proposer(consensus, "test", lambda: BEGAN)
            for net in nets[:-1]:
                expected = consensus.state.learner(GAME).champion
                await proposer.propose(added(net.sha256))
                await proposer.propose(
                    Promote(game=GAME, candidate=net.sha256, expected=expected, how="manual", reason="test")
                )
            app = Application(middlewares=[errors_as_answers])
            app.add_routes(mounted({**promotion_handlers(pipeline), **distribution_handlers(pipeline)}))
            desk = asyncio.create_task(pipeline.desk.run(lambda: None)) if serving else None
            try:
                async with TestClient(TestServer(app)) as client:
                    return await ask(client, pipeline)
            finally:
                if desk is not None:
                    desk.cancel()
                    await asyncio.wait([desk])

    return asyncio.run(main())


def void(_value: object) -> None:
    """A listener returns nothing."""


async def post(client: Client, path: str, body: object) -> tuple[int, Any]:
    answer = await client.post(path, json=body)
    return answer.status, await answer.json()


async def get(client: Client, path: str) -> tuple[int, Any]:
    answer = await client.get(path)
    return answer.status, await answer.json()


def test_a_request_is_taken_with_a_number_under_which_its_result_is_found(tmp_path, nets):
    async def ask(client: Client, pipeline: Pipeline) -> Any:
        body = {"model_path": f"models/versions/{nets[1].sha256}.pth", **HEX8, "force": True, "reason": "I know it"}
        status, ticket = await post(client, "/admin/promote", body)
        assert (status, ticket["number"], ticket["progress"]) == (202, 1, "waiting")
        while ticket["progress"] != "done":
            status, ticket = await get(client, "/admin/promote/1")
        return ticket, await get(client, "/admin/promote")

    ticket, (_, everything) = asked(tmp_path, nets, ask)
    assert (ticket["error"], ticket["result"]["promoted"], ticket["result"]["how"]) == ("", True, "manual")
    assert ticket["result"]["canonical_path"] == str(tmp_path / "models" / f"canonical_{GAME}.pth")
    assert everything == {"requests": [ticket], "last_evaluation": None}


def test_the_documented_curl_line_is_taken(tmp_path, nets):
    async def ask(client: Client, pipeline: Pipeline) -> Any:
        (pipeline.folder.models / "my_model.pth").write_bytes(nets[1].path.read_bytes())
        body = {"model_path": "models/my_model.pth", **HEX8, "gauntlet_games": 50}
        return await post(client, "/admin/promote", body)

    status, ticket = asked(tmp_path, nets, ask, serving=False)
    assert (status, ticket["request"]["gauntlet_games"]) == (202, 50)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"model_path": "../a.pth", **HEX8}, 400, "does not lie below"),
        ({"model_path": "/etc/passwd", **HEX8}, 400, "does not lie below"),
        ({"model_path": "missing.pth", **HEX8}, 404, "no such file"),
        ({"model_path": "a.pth", "board_type": "hex9", "num_players": 2}, 400, "there is no board type 'hex9'"),
        ({"model_path": "a.pth", "board_type": "hex8", "num_players": 7}, 400, "2, 3 or 4 players"),
        ({**HEX8}, 400, "model_path is missing"),
        ({"model_path": "a.pth", **HEX8, "gauntlet_games": 0}, 400, "gauntlet_games"),
        ({"model_path": "a.pth", **HEX8, "colour": "red"}, 400, "colour"),
        ({"model_path": "./" * 20_000 + "a.pth", **HEX8}, 400, "model_path: String should have at most"),
        ([], 400, "body"),
    ],
)
def test_a_wrong_request_is_an_error_that_says_what_to_write(tmp_path, nets, body, status, message):
    async def ask(client: Client, pipeline: Pipeline) -> Any:
        found = await post(client, "/admin/promote", body)
        assert pipeline.desk.tickets == {}
        return found

    got, answer = asked(tmp_path, nets[:1], ask)
    assert got == status
    assert message in " ".join([answer["error"]["message"], *answer["error"]["details"]])


def test_too_many_requests_are_a_conflict(tmp_path, nets):
    async def ask(client: Client, pipeline: Pipeline) -> Any:
        body = {"model_path": f"versions/{nets[1].sha256}.pth", **HEX8}
        return [(await post(client, "/admin/promote", body))[0] for _ in range(REQUESTS_MAX + 1)]

    assert asked(tmp_path, nets, ask, serving=False) == [202] * REQUESTS_MAX + [409]


@pytest.mark.parametrize("number", ["2", "x", "9" * 30])
def test_an_unknown_number_is_not_found(tmp_path, nets, number):
    status, answer = asked(tmp_path, nets[:1], lambda client, _: get(client, f"/admin/promote/{number}"))
    assert status == 404
    assert "the node may have been restarted" in answer["error"]["message"]


def test_a_dry_run_says_what_would_be_played_and_changes_nothing(tmp_path, nets):
    async def ask(client: Client, pipeline: Pipeline) -> Any:
        seq = pipeline.consensus.state.seq
        answer = await post(client, "/admin/promote", {**HEX8, "gauntlet_games": 60, "dry_run": True})
        assert pipeline.consensus.state.seq == seq
        assert pipeline.desk.tickets == {}
        return answer

    status, answer = asked(tmp_path, nets, ask)
    assert (status, answer["dry_run"], answer["plan"]["champion"]) == (200, True, nets[0].sha256)
    assert (answer["plan"]["form"]["games"], answer["plan"]["candidate_number"]) == (60, 1)


@pytest.mark.parametrize("body", [{"model_id": GAME, "reason": "weak"}, {**HEX8, "reason": "weak"}])
def test_a_rollback_is_carried_out_and_becomes_history(tmp_path, nets, body):
    async def ask(client: Client, _pipeline: Pipeline) -> Any:
        return await post(client, "/admin/rollback", body), await get(client, "/admin/rollback")

    (status, result), (_, history) = asked(tmp_path, [*nets, nets[0]], ask)
    assert (status, result["success"], result["from_version"], result["to_version"]) == (200, True, 2, 1)
    assert [(it["trigger"], it["reason"]) for it in history["rollbacks"]] == [("manual", "weak")]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"model_id": GAME}, 409, "no earlier champion"),
        ({"model_id": GAME, "to_version": 9}, 400, "there is no version 9"),
        ({"model_id": GAME, "reason": " "}, 400, "needs a reason"),
        ({"model_id": "hex9_2p"}, 400, "there is no game"),
        ({}, 400, "say model_id, or board_type and num_players"),
        ({"model_id": GAME, **HEX8}, 400, "say model_id, or board_type and num_players"),
        ({"model_id": GAME, "to_version": 0}, 400, "to_version"),
    ],
)
def test_a_rollback_that_cannot_be_says_why(tmp_path, nets, body, status, message):
    got, answer = asked(tmp_path, nets, lambda client, _: post(client, "/admin/rollback", body))
    assert got == status
    assert message in " ".join([answer["error"]["message"], *answer["error"]["details"]])


def test_whether_a_champion_should_be_taken_back_is_told(tmp_path, nets):
    async def ask(client: Client, _pipeline: Pipeline) -> Any:
        return [await get(client, f"/admin/rollback/{game}") for game in (GAME, "square8_2p", "chess")]

    (status, answer), (_, nobody), (wrong, _) = asked(tmp_path, nets, ask)
    assert (status, answer["should_rollback"], bool(answer["reason"])) == (200, False, True)
    assert (nobody, wrong) == ({"should_rollback": False, "reason": "square8_2p has no champion"}, 400)


def test_a_baseline_is_kept_with_the_version_in_production(tmp_path, nets):
    async def ask(client: Client, pipeline: Pipeline) -> Any:
        path, body = f"/admin/rollback/{GAME}/baseline", {"metrics": {"elo": 1500}}
        answer = await post(client, path, body)
        return answer, pipeline.installer.registry.metrics(KEY, 1), await post(client, path, {"metrics": 5})

    (status, answer), kept, (wrong, _) = asked(tmp_path, nets, ask)
    assert (status, answer) == (200, {"model_id": GAME, "metrics": {"elo": 1500}})
    assert kept[-1].values == {"baseline": {"elo": 1500}}
    assert wrong == 400
