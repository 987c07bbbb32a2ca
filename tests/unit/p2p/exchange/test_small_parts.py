"""Announced shards in their file, bytes a second, looks that are asked for, and which nets a job names."""

import asyncio
from pathlib import Path

import pytest

from managers.state.tasks import CanaryTask, GateForm, GauntletTask, Opponent, SelfplayTask, Task, TrainingTask
from p2p.exchange.announced import Announced
from p2p.exchange.job_inputs import nets_of
from p2p.exchange.looks import Looks
from p2p.exchange.pace import Pace
from p2p.exchange.partial_file import PartialFile
from ringrift_core.blob import BlobRef

GAME = "hex8_2p"
A, B, C, D = (letter * 64 for letter in "abcd")


def test_what_was_announced_is_known_after_a_restart(tmp_path: Path):
    path = tmp_path / "data" / "announced.txt"
    announced = Announced(path)
    announced.add({GAME: ["1" * 16, "2" * 16]})
    announced.add({GAME: ["2" * 16], "square8_2p": ["3" * 16]})
    again = Announced(path)
    assert again.begun
    again.load()
    assert again.of(GAME) == {"1" * 16, "2" * 16}
    assert again.of("square8_2p") == {"3" * 16}
    assert len(path.read_text().splitlines()) == 3


def test_a_line_that_was_cut_is_written_again(tmp_path: Path):
    path = tmp_path / "announced.txt"
    path.write_text(f"{GAME} {'1' * 16}\n{GAME} {'2' * 9}")
    announced = Announced(path)
    announced.add({GAME: ["2" * 16]})
    again = Announced(path)
    again.load()
    assert again.of(GAME) == {"1" * 16, "2" * 16}


def test_nothing_announced_begins_the_file(tmp_path: Path):
    announced = Announced(tmp_path / "announced.txt")
    assert not announced.begun
    announced.add({})
    assert announced.begun


def test_bytes_are_paced_together_with_a_second_in_advance():
    pace = Pace(2_000_000)
    assert pace.wait_s(2_000_000, 10.0) == 0.0
    assert pace.wait_s(1_000_000, 10.0) == pytest.approx(0.5)
    assert pace.wait_s(1_000_000, 10.0) == pytest.approx(1.0)
    assert pace.wait_s(1_000_000, 100.0) == 0.0
    assert Pace(0).wait_s(1 << 40, 0.0) == 0.0
    assert Pace(1.0).wait_s(3_000_000, 0.0) == pytest.approx(2.0)  # never less than a million a second


def test_a_look_that_is_asked_for_begins_after_the_asking():
    async def run() -> tuple[bool, bool, int]:
        looks = Looks()
        looks.begin()  # one that runs already
        asked = asyncio.ensure_future(looks.asked(5.0))
        await asyncio.sleep(0)
        looks.end(1)
        await asyncio.sleep(0)
        early = asked.done()
        looks.begin()
        looks.end(2)
        return early, await asked, looks.came

    assert asyncio.run(run()) == (False, True, 3)
    assert not asyncio.run(Looks().asked(0.01))


FORM = GateForm()
SELFPLAY = SelfplayTask(
    game=GAME, model=A, sims=8, opponents=(Opponent(model=B, share=0.2), Opponent(model="random", share=0.1))
)


@pytest.mark.parametrize(
    ("task", "named"),
    [
        (SELFPLAY, [A, B]),
        (SelfplayTask(game=GAME, model="heuristic", sims=8), []),
        (TrainingTask(game=GAME, seed=1, steps=1, rows_made=1, games_made=1), []),
        (TrainingTask(game=GAME, seed=1, steps=1, rows_made=1, games_made=1, parent=A), [A]),
        (GauntletTask(game=GAME, candidate=A, champion=B, anchors=(C, B), candidate_number=1, seed=1, form=FORM),
         [A, B, C]),
        (GauntletTask(game=GAME, candidate=A, champion=None, candidate_number=1, seed=1, form=FORM), [A]),
        (CanaryTask(game=GAME, model=A, opponents=("heuristic", D), number=1, games=4, seed=1), [A, D]),
    ],
)  # fmt: skip
def test_every_net_of_a_task_is_named_once(task: Task, named: list[str]):
    assert list(nets_of(task)) == named


def test_a_file_with_another_digest_is_removed(tmp_path: Path):
    blob = BlobRef.of(b"right")
    part = PartialFile(tmp_path, "0" * 64, 5, (blob.sha256,))
    assert part.open() == frozenset()
    assert not part.put(0, b"wrong")
    assert part.put(0, b"right")
    assert part.open() == {0}
    assert not part.whole()
    assert not part.path.exists()
