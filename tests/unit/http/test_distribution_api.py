"""POST /admin/distribute-model: the champion is everywhere already; another net becomes champion only by force."""

from pathlib import Path
from typing import Any

import pytest

from managers.pipeline import Pipeline
from tests.unit.http.test_promotion_api import Client, asked, get, post
from tests.unit.managers.verdicts import GAME
from tests.unit.registry.nets import SavedNet, family

CANONICAL = f"models/canonical_{GAME}.pth"
PATH = "/admin/distribute-model"


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> list[SavedNet]:
    return family(tmp_path_factory.mktemp("nets"), 3)


def test_the_champions_file_is_where_it_should_be(tmp_path: Path, nets: list[SavedNet]):
    async def ask(client: Client, pipeline: Pipeline) -> Any:
        pipeline.installer.verified = {GAME: nets[1].sha256}
        found = await post(client, PATH, {"model_path": CANONICAL})
        pipeline.installer.verified = {}
        return found, await post(client, PATH, {"model_path": CANONICAL})

    (status, body), (_, missing) = asked(tmp_path, nets, ask)
    node = body["nodes"][0]
    assert (status, body) == (200, {"game": GAME, "sha256": nets[1].sha256, "nodes": [node], "missing": []})
    assert (missing["nodes"], missing["missing"]) == ([], [node])


def test_without_force_another_net_is_refused_with_what_it_is(tmp_path: Path, nets: list[SavedNet]):
    async def ask(client: Client, _pipeline: Pipeline) -> Any:
        (tmp_path / CANONICAL).write_bytes(nets[0].path.read_bytes())
        known = await post(client, PATH, {"model_path": CANONICAL})
        (tmp_path / CANONICAL).write_bytes(b"no net")
        return known, await post(client, PATH, {"model_path": CANONICAL})

    known, unknown = asked(tmp_path, nets, ask)
    for (status, body), word in ((known, "is known and"), (unknown, "is unknown")):
        assert (status, body["error"]["code"]) == (409, "conflict")
        assert word in body["error"]["message"]


def test_the_runbooks_restore_is_a_rollback(tmp_path: Path, nets: list[SavedNet]):
    """cp of an older net onto the canonical file, then force."""

    async def ask(client: Client, pipeline: Pipeline) -> Any:
        (tmp_path / CANONICAL).write_bytes(nets[0].path.read_bytes())
        found = await post(client, PATH, {"model_path": CANONICAL, "force": True})
        return found, pipeline.consensus.state.learner(GAME)

    (status, body), learner = asked(tmp_path, nets, ask)
    assert (status, body["success"], body["from_sha256"], body["to_sha256"]) == (
        200, True, nets[1].sha256, nets[0].sha256,
    )  # fmt: skip
    assert learner.champion == nets[0].sha256
    assert (learner.rollbacks[-1].trigger, list(learner.blocked)) == ("manual", [nets[1].sha256])


def test_by_force_a_net_that_never_was_champion_is_promoted_by_hand(tmp_path: Path, nets: list[SavedNet]):
    async def ask(client: Client, pipeline: Pipeline) -> Any:
        (tmp_path / CANONICAL).write_bytes(nets[2].path.read_bytes())
        status, body = await post(client, PATH, {"model_path": CANONICAL, "force": True, "reason": "I know it"})
        ticket = body
        while ticket["progress"] != "done":
            _, ticket = await get(client, f"/admin/promote/{body['number']}")
        return status, ticket, pipeline.consensus.state.learner(GAME)

    status, ticket, learner = asked(tmp_path, nets, ask)
    assert (status, ticket["error"]) == (202, "")
    assert (learner.champion, learner.reign.kind, learner.reign.reason) == (
        nets[2].sha256,
        "manual",
        "forced: I know it",
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [("models/nothing.pth", 404), ("../secret.pth", 400), ("", 400), ("models/strange.pth", 400)],
)
def test_what_is_no_net_of_a_game_is_refused(tmp_path: Path, nets: list[SavedNet], path: str, status: int):
    async def ask(client: Client, _pipeline: Pipeline) -> Any:
        (tmp_path / "models" / "strange.pth").write_bytes(b"x")
        return await post(client, PATH, {"model_path": path, "force": True})

    found, body = asked(tmp_path, nets, ask)
    assert (found, bool(body["error"]["message"])) == (status, True)
