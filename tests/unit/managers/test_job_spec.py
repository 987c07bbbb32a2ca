"""Digests become paths of this node, fences become seeds, nothing gets lost on the way."""

from pathlib import Path

import pytest

from managers.job_spec import spec_of
from managers.node_folder import NodeFolder
from managers.state.jobs import Job
from managers.state.tasks import (
    CanaryTask,
    GateForm,
    GauntletTask,
    Opponent,
    PartTask,
    SelfplayTask,
    Task,
    TrainingTask,
)
from ringrift_core.jobs import spec as specs
from ringrift_core.jobs.gauntlet import PLACES
from ringrift_core.jobs.spec import (
    JOBS,
    CanarySpec,
    GauntletSpec,
    PartSpec,
    Rates,
    SelfplaySpec,
    TrainingSpec,
)
from tests.unit.managers.deciding import GAME, A, B, C

FOLDER = NodeFolder(Path("/data"))


def job_of(task: Task, fence: int = 7) -> Job:
    return Job(id=f"{task.kind}-1", task=task, priority=50, cores=1, attempts_max=3, queued_at=0.0, fence=fence)


def spec(task: Task, fence: int = 7, cores: int = 1, seed: int = 1):
    return spec_of(job_of(task, fence), FOLDER, cores=cores, seed=seed)


TASKS: tuple[Task, ...] = (
    SelfplayTask(game=GAME, model=A, sims=32, cheap_sims=4, full_share=0.5, opening_max=3, drawn_decisions=9,
                 games=100, opponents=(Opponent(model="heuristic", share=0.1), Opponent(model=B, share=0.2))),
    TrainingTask(game=GAME, parent=A, seed=5, steps=10, rows_made=1000, games_made=100, batch=128, passes=2.0,
                 gate=GateForm()),
    TrainingTask(game=GAME, size="nano", seed=5, steps=10, rows_made=1000, games_made=100),
    GauntletTask(game=GAME, candidate=A, champion=B, anchors=(C,), candidate_number=3, seed=9,
                 form=GateForm(games=50, games_max=100, random=0.8, heuristic=0.7, champion=0.6, qualify_games=32)),
    CanaryTask(game=GAME, model=A, opponents=(B, "heuristic"), number=4, games=16, seed=2),
    PartTask(gauntlet="gauntlet-1", row=2, first=25, last=57, of=GauntletTask(
        game=GAME, candidate=A, champion=B, anchors=(C,), candidate_number=3, seed=9,
        form=GateForm(games=50, games_max=100, random=0.8, heuristic=0.7, champion=0.6, qualify_games=32))),
)  # fmt: skip


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_what_is_written_is_what_the_child_process_reads(task):
    made = spec(task)
    assert JOBS.validate_json(made.model_dump_json()) == made


def test_a_selfplay_job_has_its_paths_and_its_whole_task():
    made = spec(TASKS[0])
    assert isinstance(made, SelfplaySpec)
    assert (made.model, made.out) == (str(FOLDER.net(A)), FOLDER.shards(GAME))
    assert (made.games, made.sims, made.cheap_sims, made.full_share) == (100, 32, 4, 0.5)
    assert (made.opening_max, made.drawn_decisions) == (3, 9)
    assert made.opponents == (
        specs.Opponent(model="heuristic", share=0.1), specs.Opponent(model=str(FOLDER.net(B)), share=0.2)
    )  # fmt: skip


@pytest.mark.parametrize("model", ["heuristic", "random"])
def test_rules_of_thumb_are_no_files(model):
    made = spec(SelfplayTask(game=GAME, model=model, sims=1))
    assert isinstance(made, SelfplaySpec)
    assert made.model == model


def test_every_attempt_of_selfplay_plays_other_games():
    seeds = {spec(TASKS[0], fence).seed for fence in (1, 2, 3)} | {spec(TASKS[0], 1, seed=2).seed}
    assert len(seeds) == 4
    assert spec(TASKS[0], 1).seed == spec(TASKS[0], 1).seed


@pytest.mark.parametrize("task", TASKS[1:], ids=lambda task: task.kind)
def test_other_jobs_go_on_where_they_stopped_so_every_attempt_has_the_same_spec(task):
    assert spec(task, fence=1) == spec(task, fence=2)


def test_a_training_reads_the_shards_and_registers_its_candidate():
    made = spec(TASKS[1], cores=3)
    assert isinstance(made, TrainingSpec)
    assert (made.data, made.out, made.registry) == (
        (FOLDER.shards(GAME), FOLDER.fetched_shards(GAME)), FOLDER.run("training-1"), FOLDER.models
    )  # fmt: skip
    assert (made.parent, made.size, made.threads) == (FOLDER.net(A), None, 3)
    assert (made.seed, made.steps, made.batch, made.passes, made.rows_made) == (5, 10, 128, 2.0, 1000)


def test_a_first_training_has_a_size_and_no_parent():
    made = spec(TASKS[2])
    assert isinstance(made, TrainingSpec)
    assert (made.parent, made.size) == (None, "nano")


def test_a_gauntlet_has_its_opponents_and_the_rates_of_its_form():
    made = spec(TASKS[3])
    assert isinstance(made, GauntletSpec)
    assert (made.candidate, made.champion, made.anchors) == (FOLDER.net(A), FOLDER.net(B), (FOLDER.net(C),))
    assert (made.out, made.work) == (FOLDER.results(GAME), FOLDER.job("gauntlet-1"))
    assert (made.games, made.games_max, made.candidate_number, made.qualify_games) == (50, 100, 3, 32)
    assert made.rates == Rates(random=0.8, heuristic=0.7, champion=0.6)


def test_a_canary_names_its_opponents():
    made = spec(TASKS[4])
    assert isinstance(made, CanarySpec)
    assert (made.model, made.opponents) == (FOLDER.net(A), (str(FOLDER.net(B)), "heuristic"))
    assert (made.games, made.number, made.seed) == (16, 4, 2)


def test_a_part_is_of_the_same_gauntlet_wherever_it_is_played():
    made, whole = spec(TASKS[-1]), spec(TASKS[3])
    assert isinstance(made, PartSpec)
    assert isinstance(whole, GauntletSpec)
    places = PLACES - {"device"}
    assert made.gauntlet.model_dump(exclude=places) == whole.model_dump(exclude=places)
    assert (made.row, made.first, made.last, made.out) == (2, 25, 57, FOLDER.parts(GAME))
    assert whole.parts == FOLDER.offer("gauntlet-1")
