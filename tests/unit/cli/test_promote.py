"""`ringrift promote`: through the loop that works in the folder or as a node of its own; what it prints and returns."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from config.schema import Settings
from config.sections import NodeSettings
from managers.launcher.local_launcher import LocalLauncher
from managers.manual_rollback import RollbackResult
from managers.node_folder import NodeFolder
from managers.own_record import OwnRecord
from managers.pipeline import EVALUATION, REQUESTS, Duty, Pipeline
from managers.promotion_result import Met, PromotionResult, gate_plan
from managers.runtime.event_router import EventRouter
from managers.state import LocalConsensus
from managers.state.cluster_state import ClusterState
from managers.state.commands import Enqueue
from managers.state.machine import StateMachine
from managers.state.tasks import SelfplayTask
from p2p import promotion, promotion_command
from p2p.cli.main import app
from p2p.http.errors import RequestError, errors_as_answers
from p2p.http.node_api import mounted
from p2p.http.node_client import NotRunning
from p2p.http.node_socket import make_socket_path, write_record
from p2p.http.promotion_api import promotion_handlers
from p2p.promotion import PromoteWish
from p2p.promotion_command import settings_of
from ringrift_core.errors import StorageError
from ringrift_core.jobs import gauntlet as gauntlet_job
from ringrift_core.jobs.spec import GauntletSpec
from ringrift_core.registry.admission import admit
from ringrift_core.registry.model_files import digest_of
from tests.unit.managers.verdicts import BEGAN, GAME, KEY, NETS, World, played, told
from tests.unit.registry.nets import NOW, SavedNet, family

A, B, *_ = NETS
MET = Met(opponent="random", sha256=A, games=50, wins=48, share=0.96, low=0.9, high=0.99, outcome="passed")
PROMOTED = PromotionResult(
    game=GAME, promoted=True, passed=True, sha256=B, win_rates={"random": 0.96}, met=(MET,), canonical_path="/models/x"
)
REFUSED = PromotionResult(game=GAME, promoted=False, sha256=B, failure_reason="too weak")


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> list[SavedNet]:
    return family(tmp_path_factory.mktemp("nets"), 2)


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.cli.promote.prepare", lambda: None)


def settings(root: Path) -> Settings:
    return Settings(node=NodeSettings(data_dir=root, node_id="node", cores=1))


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["promote", *arguments])
    return done.exit_code, " ".join(done.output.split())


# ---- what is typed ----


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say one of --model"),
        (["--model", "a.pth", "--candidate", "b.pth"], "say one of --model"),
        (["--model", "a.pth", "--rollback"], "say one of --model"),
        (["--force", "--rollback"], "--force belongs to --model"),
        (["--force", "--candidate", "a.pth"], "--force belongs to --model"),
        (["--force", "--model", "a.pth", "--dry-run"], "--force belongs to --model"),
        (["--daemon", "--dry-run"], "belong to --model or --candidate"),
        (["--model", "a.pth", "--to-version", "1"], "--to-version belongs to --rollback"),
        (["--model", "a.pth", "--games", "0"], "--games"),
        (["--model", "a.pth", "--game", "hex8_2p", "--num-players", "2"], "say either --game or"),
    ],
)
def test_what_does_not_fit_together_is_bad_input(arguments, message):
    code, output = run(*arguments)
    assert code == 2
    assert message.replace("-", "") in output.replace("-", "").replace("│ ", "").replace(" │", "")


@pytest.mark.parametrize(("result", "code"), [(PROMOTED, 0), (REFUSED, 1)])
def test_the_exit_code_says_whether_the_net_is_champion(monkeypatch, tmp_path, result: PromotionResult, code):
    asked: list[object] = []

    def promote(_settings: Settings, wish: PromoteWish, _say: object) -> PromotionResult:
        asked.append(wish)
        return result

    monkeypatch.setattr(promotion_command, "promote", promote)
    arguments = ["--gauntlet", "--board-type", "hex8", "--num-players", "2", "--games", "50", "--sync-to-cluster"]
    found, output = run("--model", "models/my_model.pth", *arguments, "--data-dir", str(tmp_path))
    assert found == code
    assert asked == [PromoteWish(KEY, Path("models/my_model.pth"), 50, reason="by hand, with ringrift promote")]
    assert ("there is one node" in output) == result.promoted
    found, output = run("--candidate", "a.pth", "--json", "--data-dir", str(tmp_path))
    assert (found, json.loads(output)["promoted"]) == (code, result.promoted)


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_a_dry_run_exits_as_the_promotion_would(monkeypatch, tmp_path, passed, code):
    result = REFUSED.model_copy(update={"dry_run": True, "passed": passed})
    monkeypatch.setattr(promotion_command, "dry_run", lambda *_: result)
    found, output = run("--gauntlet", "--model", "a.pth", "--dry-run", "--data-dir", str(tmp_path))
    assert found == code
    assert ("it would be promoted" in output) == passed


def test_a_rollback_prints_the_versions(monkeypatch, tmp_path):
    result = RollbackResult(
        model_id=GAME, success=True, from_version=3, to_version=1, reason="weak", canonical_path="/models/x"
    )
    asked: list[object] = []

    def rollback(_settings: Settings, *given: object) -> RollbackResult:
        asked.append(given)
        return result

    monkeypatch.setattr(promotion_command, "rollback", rollback)
    found, output = run("--rollback", "--to-version", "1", "--reason", "weak", "--data-dir", str(tmp_path))
    assert (found, asked) == (0, [(KEY, 1, "weak")])
    assert output == "hex8_2p: version 3 is blocked, version 1 is champion (weak) /models/x"
    refused = result.model_copy(update={"success": False, "failure_reason": "nobody before"})
    monkeypatch.setattr(promotion_command, "rollback", lambda *_: refused)
    assert run("--rollback", "--data-dir", str(tmp_path)) == (1, "hex8_2p: not rolled back: nobody before")


def test_ctrl_c_is_said_with_its_exit_code(monkeypatch, tmp_path):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(promotion_command, "watch", interrupted)
    code, output = run("--daemon", "--data-dir", str(tmp_path))
    assert (code, output.startswith("stopped")) == (130, True)


def test_whoever_starts_the_daemon_wants_promotions(monkeypatch, tmp_path):
    monkeypatch.setenv("RINGRIFT_AUTO_PROMOTE", "false")
    assert settings_of(None, tmp_path, daemon=True).promotion.auto_promote
    assert not settings_of(None, tmp_path, daemon=False).promotion.auto_promote


@pytest.mark.parametrize(
    ("named", "games"),
    [([], ("hex8_2p",)), (["--game", "square8_3p"], ("square8_3p",)), (["--board-type", "square8"], ("square8_2p",))],
)
def test_the_daemon_judges_the_game_that_is_named(named, games, monkeypatch, tmp_path):
    begun: list[Settings] = []
    monkeypatch.setattr(promotion_command, "watch", lambda settings, *_: begun.append(settings))
    assert run("--daemon", "--data-dir", str(tmp_path), *named) == (0, "")
    assert [it.games for it in begun] == [games]


# ---- without a loop ----


def test_without_a_loop_the_command_is_the_node(tmp_path, nets):
    """Forced, so that nothing is played: registered, promoted, installed, and after another one taken back."""
    root, said = tmp_path / "node", list[str]()
    for net in nets:
        wish = PromoteWish(KEY, net.path, force=True, reason="a try")
        result = promotion.promote(settings(root), wish, said.append)
        assert (result.promoted, result.how) == (True, "manual")
        assert digest_of(Path(str(result.canonical_path))) == net.sha256
    back = promotion.rollback(settings(root), KEY, None, "weak")
    assert (back.success, back.from_version, back.to_version) == (True, 2, 1)
    assert digest_of(Path(str(back.canonical_path))) == nets[0].sha256
    history = json.loads((root / "data" / "rollback_history.json").read_text())
    assert [(row["trigger"], row["reason"]) for row in history] == [("manual", "weak")]
    lines = (root / "logs" / "coordination.log").read_text().splitlines()
    events = [line.split()[2] for line in lines if " champion_" in line]
    assert events == ["champion_promoted", "champion_promoted", "champion_rolled_back"]
    refused = promotion.promote(settings(root), PromoteWish(KEY, nets[1].path), said.append)
    assert refused.failure_reason == f"{nets[1].sha256[:16]} is blocked (weak); only force promotes it"


def test_a_file_that_is_no_net_changes_nothing(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(b"no net")
    with pytest.raises(StorageError, match="damaged, or no file of the format"):
        promotion.promote(settings(tmp_path / "node"), PromoteWish(KEY, path), lambda _: None)
    assert not (tmp_path / "node").exists()


def test_a_dry_run_plays_the_gauntlet_that_would_be_queued_and_changes_nothing(tmp_path, nets, monkeypatch):
    root, specs = tmp_path / "node", list[GauntletSpec]()
    promotion.promote(settings(root), PromoteWish(KEY, nets[0].path, force=True, reason="x"), lambda _: None)
    before = {path: path.read_bytes() for path in (root / "models").rglob("*.pth")}

    def play(spec: GauntletSpec, emit: Callable[[dict[str, object]], None], _stopped: object) -> None:
        specs.append(spec)
        task = job_of(spec, nets).task
        assert task.kind == "gauntlet"
        outcome = told(played(task), "0" * 16).model_dump(mode="json")
        emit({"event": "progress", "opponent": "random", "wins": 1, "games": 2})
        emit({"event": "done", **outcome, "ratings": []})

    monkeypatch.setattr(gauntlet_job, "run_gauntlet", play)
    said: list[str] = []
    result = promotion.dry_run(settings(root), PromoteWish(KEY, nets[1].path, 60), said.append)
    (spec,) = specs
    assert (spec.candidate, spec.champion) == (nets[1].path, root / "models" / "versions" / f"{nets[0].sha256}.pth")
    assert (spec.games, spec.qualify_games, spec.out) == (60, 0, root / "data" / "results" / GAME)
    assert (result.dry_run, result.passed, result.promoted) == (True, True, False)
    assert result.replaces == nets[0].sha256
    assert said == ["against random: 1 of 2 games won"]
    assert {path: path.read_bytes() for path in (root / "models").rglob("*.pth")} == before


def job_of(spec: GauntletSpec, nets: list[SavedNet]) -> Any:
    world = World()
    world.champions(nets[0].sha256)
    return gate_plan(world.learner, Settings(), spec.games).job(nets[1].sha256, 1)


# ---- with a loop ----


def beside_a_loop(root: Path, ask: Callable[[Pipeline], Awaitable[Any]], *, serving: bool = True) -> Any:
    """Ask while something answers on the socket of a folder, as the loop does."""

    async def main() -> Any:
        async with LocalConsensus(StateMachine(), None) as consensus:
            folder = NodeFolder(root)
            launcher = LocalLauncher(folder.jobs, folder.logs)
            pipeline = Pipeline(
                settings(root),
                consensus,
                launcher,
                folder,
                lambda: BEGAN,
                own=OwnRecord(session=1),
                router=EventRouter("n", "1", lambda: BEGAN),
            )
            application = web.Application(middlewares=[errors_as_answers])
            application.add_routes(mounted(promotion_handlers(pipeline)))
            runner = web.AppRunner(application)
            await runner.setup()
            socket = make_socket_path(root)
            await web.UnixSite(runner, socket).start()
            write_record(root, socket)
            desk = asyncio.create_task(pipeline.desk.run(lambda: None)) if serving else None
            try:
                return await ask(pipeline)
            finally:
                if desk is not None:
                    desk.cancel()
                await runner.cleanup()

    return asyncio.run(main())


def test_with_a_loop_the_request_goes_through_its_socket(tmp_path, nets, monkeypatch):
    monkeypatch.setattr(promotion, "ASK_S", 0.01)
    monkeypatch.setattr("managers.manual_promotion.wait_installed", nobody_installs)
    net = admit(tmp_path / "models", nets[0].path, KEY, NOW)
    said: list[str] = []

    async def ask(pipeline: Pipeline) -> tuple[PromotionResult, ClusterState]:
        wish = PromoteWish(KEY, nets[0].path, force=True, reason="I know it")
        result = await promotion._promote(settings(tmp_path), wish, net, said.append)
        return result, pipeline.consensus.state

    result, state = beside_a_loop(tmp_path, ask)
    assert result.promoted
    assert state.learner(GAME).champion == nets[0].sha256
    assert said == ["the running loop does it, request 1"]


async def nobody_installs(*_: object) -> bool:
    return False


def test_a_refusal_of_the_loop_is_told_in_its_words(tmp_path):
    async def ask(_pipeline: Pipeline) -> None:
        await promotion._rollback(settings(tmp_path), KEY, None, "weak")

    with pytest.raises(RequestError, match="hex8_2p has no champion"):
        beside_a_loop(tmp_path, ask)


def test_the_daemon_watches_a_loop_until_it_ends(tmp_path, monkeypatch):
    answers = iter([None, REFUSED.model_dump(mode="json"), REFUSED.model_dump(mode="json")])

    async def answer(*_: object) -> dict[str, object]:
        try:
            return {"last_evaluation": next(answers)}
        except StopIteration:
            raise NotRunning("no loop") from None

    monkeypatch.setattr(promotion, "request", answer)
    said: list[str] = []
    asyncio.run(promotion._watch_loop(tmp_path, 0.0, said.append))
    assert [line for line in said if "too weak" in line] == [f"hex8_2p {B[:16]}: not promoted: too weak"]
    assert said[-1] == "the loop has ended"


# ---- duties ----


@pytest.mark.parametrize(("duty", "kept"), [(Duty(), 1), (EVALUATION, 0), (REQUESTS, 0)])
def test_a_node_that_only_judges_starts_no_selfplay_that_a_loop_has_left(tmp_path, duty, kept):
    world = World()
    world.do(Enqueue(task=SelfplayTask(game=GAME, model="heuristic", sims=1), priority=50))

    async def main() -> int:
        consensus = LocalConsensus(StateMachine(), None)
        launcher = LocalLauncher(tmp_path, tmp_path)
        folder = NodeFolder(tmp_path)
        pipeline = Pipeline(
            settings(tmp_path),
            consensus,
            launcher,
            folder,
            lambda: BEGAN,
            own=OwnRecord(session=1),
            router=EventRouter("n", "1", lambda: BEGAN),
            duty=duty,
        )
        names = set(pipeline.supervisor.status())
        assert ("QUEUE_POPULATOR" in names, "TRAINING_COORDINATOR" in names) == (bool(kept), bool(kept))
        assert {"DISPATCHER", "JOB_MANAGER", "MODEL_DISTRIBUTION", "PROMOTION_DESK"} <= names
        assert ("AUTO_PROMOTION" in names) == (duty is not REQUESTS)
        return len(pipeline._on_duty(world.state).jobs.active)

    assert asyncio.run(main()) == kept


def test_the_daemon_without_a_loop_is_a_node_that_judges(tmp_path):
    said: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(promotion._watch(settings(tmp_path), 0.05, said.append))
        async with asyncio.timeout(30):
            while len(said) < 2 and not task.done():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert said[0] == f"no loop works here: gauntlets, promotions and rollbacks of {GAME}; Ctrl-C ends it"
    assert said[1].startswith("jobs: none")
