"""From a task to a job spec: digests become paths of this node, a fence becomes a seed."""

from pathlib import Path

from managers.node_folder import NodeFolder
from managers.state.apply import seed_of
from managers.state.jobs import Job
from managers.state.tasks import RULES_OF_THUMB, CanaryTask, GauntletTask, PartTask, SelfplayTask, TrainingTask
from ringrift_core.jobs.spec import (
    CanarySpec,
    GauntletSpec,
    Opponent,
    PartSpec,
    Rates,
    SelfplaySpec,
    TrainingSpec,
)

Spec = SelfplaySpec | TrainingSpec | GauntletSpec | PartSpec | CanarySpec


def spec_of(job: Job, folder: NodeFolder, *, cores: int, seed: int) -> Spec:
    """What the child process of a job is told; `seed` is that of the whole loop."""
    task = job.task
    match task:
        case SelfplayTask():
            return _selfplay(task, folder, seed_of(f"{seed}/{job.id}", job.fence))
        case TrainingTask():
            return _training(task, folder, folder.run(job.id), cores)
        case GauntletTask():
            return _gauntlet(task, folder, job.id)
        case PartTask():
            return PartSpec(
                kind="part",
                gauntlet=_gauntlet(task.of, folder, job.id),
                row=task.row,
                first=task.first,
                last=task.last,
                out=folder.parts(task.game),
            )
        case CanaryTask():
            return CanarySpec(
                kind="canary",
                game=task.game,
                model=folder.net(task.model),
                opponents=tuple(_named(name, folder) for name in task.opponents),
                out=folder.results(task.game),
                games=task.games,
                number=task.number,
                seed=task.seed,
            )


def _selfplay(task: SelfplayTask, folder: NodeFolder, seed: int) -> SelfplaySpec:
    return SelfplaySpec(
        game=task.game,
        model=_named(task.model, folder),
        out=folder.shards(task.game),
        seed=seed,
        games=task.games,
        sims=task.sims,
        cheap_sims=task.cheap_sims,
        full_share=task.full_share,
        opening_max=task.opening_max,
        drawn_decisions=task.drawn_decisions,
        opponents=tuple(Opponent(model=_named(it.model, folder), share=it.share) for it in task.opponents),
    )


def _training(task: TrainingTask, folder: NodeFolder, out: Path, cores: int) -> TrainingSpec:
    same = task.model_dump(exclude={"parent", "games_made", "gate"})
    return TrainingSpec(
        **same,
        data=(folder.shards(task.game), folder.fetched_shards(task.game)),
        out=out,
        parent=None if task.parent is None else folder.net(task.parent),
        registry=folder.models,
        threads=cores,
    )


def _gauntlet(task: GauntletTask, folder: NodeFolder, name: str) -> GauntletSpec:
    return GauntletSpec(
        kind="gauntlet",
        game=task.game,
        candidate=folder.net(task.candidate),
        champion=None if task.champion is None else folder.net(task.champion),
        anchors=tuple(map(folder.net, task.anchors)),
        out=folder.results(task.game),
        work=folder.job(name),
        parts=folder.offer(name),
        seed=task.seed,
        games=task.form.games,
        games_max=task.form.games_max,
        candidate_number=task.candidate_number,
        rates=Rates(random=task.form.random, heuristic=task.form.heuristic, champion=task.form.champion),
        qualify_games=0 if task.form.asked else task.form.qualify_games,
    )


def _named(model: str, folder: NodeFolder) -> str:
    return model if model in RULES_OF_THUMB else str(folder.net(model))
