"""POST /admin/distribute-model {"model_path", "force"}: the net of a file below `models/` shall be everywhere.

The champion's own file: 200, and where it is. Another net without force: 409. With force it becomes champion: a former
champion by a rollback (history row, the digest replaced is blocked), another one by a promotion of the kind manual,
which is answered as such (202 and a number).
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from managers.cluster_rows import distribution
from managers.net_intake import resolved
from managers.pipeline import Pipeline
from managers.ports import BusyError
from managers.promotion_desk import Request
from managers.state.learners import Learner
from p2p.http.answers import DistributionAnswer
from p2p.http.errors import RequestError, body_of
from p2p.http.forms import DistributeForm
from p2p.http.json_answer import Handlers, json_answer
from p2p.http.promotion_forms import BY_HAND
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.model_files import digest_of

HEADS = ("canonical_", "ringrift_best_")  # of the names of production files, before the configuration


def distribution_handlers(pipeline: Pipeline) -> Handlers:
    """The handlers."""

    async def distribute(request: web.Request) -> web.Response:
        form = await body_of(request, DistributeForm)
        path, sha256 = await _file(pipeline, form.model_path)
        learner = _learner(pipeline, form, path, sha256)
        if sha256 == learner.champion:
            return _where(pipeline, learner)
        if not form.force:
            raise RequestError(_refusal(learner, path, sha256), 409)
        reason = form.reason.strip() or BY_HAND
        if learner.champion is not None and any(reign.sha256 == sha256 for reign in learner.reigns):
            return await _restored(pipeline, learner, path, sha256, reason)
        return _promoted(pipeline, learner, path, reason)

    return {"POST /admin/distribute-model": distribute}


async def _file(pipeline: Pipeline, model_path: str) -> tuple[Path, str]:
    """The file that is meant and its digest; RequestError when there is none."""
    try:
        path = await asyncio.to_thread(resolved, pipeline.folder, model_path)
        sha256 = await asyncio.to_thread(digest_of, path)
    except StorageError as error:
        raise RequestError(str(error), 404) from error
    if sha256 is None:
        raise RequestError(f"{path}: there is no such file", 404)
    return path, sha256


def _learner(pipeline: Pipeline, form: DistributeForm, path: Path, sha256: str) -> Learner:
    """The configuration that a net is for; RequestError when nothing says so."""
    state = pipeline.consensus.state
    if form.board_type is not None and form.num_players is not None:
        return state.learner(str(ConfigKey(form.board_type, form.num_players)))
    for learner in state.learners.values():
        if sha256 in learner.nets:
            return learner
    stem = path.name.partition(".")[0]
    for head in HEADS:
        if stem.startswith(head):
            try:
                return state.learner(str(ConfigKey.parse(stem.removeprefix(head))))
            except RulesError:
                break
    raise RequestError(f"{path.name} does not say which game it is for; write board_type and num_players")


def _refusal(learner: Learner, path: Path, sha256: str) -> str:
    """Why a net is not distributed as it is."""
    champion = "none" if learner.champion is None else learner.champion[:16]
    if sha256 in learner.blocked:
        what = f"is blocked: {learner.blocked[sha256]}"
    elif sha256 in learner.nets:
        what = f"is known and {learner.nets[sha256].status.value}"
    else:
        what = "is unknown"
    return (
        f"{path.name} has the digest {sha256[:16]}, which {what}; the champion of {learner.game} is {champion}: "
        'promote it (/admin/promote), or write "force": true to make it the champion'
    )


def _where(pipeline: Pipeline, learner: Learner) -> web.Response:
    champion = learner.champion
    assert champion is not None, "it was compared with the file"
    installer = pipeline.installer
    installed = {**installer.elsewhere(), pipeline.identity.node: installer.verified}
    found = distribution(pipeline.consensus.state, learner, champion, installed)
    return json_answer(DistributionAnswer(game=learner.game, sha256=champion, nodes=found.nodes, missing=found.missing))


async def _restored(pipeline: Pipeline, learner: Learner, path: Path, sha256: str, reason: str) -> web.Response:
    """A former champion is champion again."""
    key, registry = ConfigKey.parse(learner.game), pipeline.installer.registry
    versions = await asyncio.to_thread(registry.versions, key)
    version = next((it.version for it in versions if it.sha256 == sha256), None)
    if version is None:  # the file is here, but the registry has forgotten it
        now = datetime.fromtimestamp(pipeline.clock(), UTC)
        version = (await asyncio.to_thread(registry.register, path, now)).version
    result = await pipeline.rollback.rollback_model(learner.game, version, reason)
    if not result.success:
        raise RequestError(result.failure_reason or "it was refused", 409)
    return json_answer(result)


def _promoted(pipeline: Pipeline, learner: Learner, path: Path, reason: str) -> web.Response:
    """A forced promotion is asked for."""
    key = ConfigKey.parse(learner.game)
    wish = Request(model_path=str(path), board_type=key.board_type, num_players=key.players, force=True, reason=reason)
    try:
        return json_answer(pipeline.desk.submit(wish), 202)
    except BusyError as error:
        raise RequestError(str(error), 409) from error
