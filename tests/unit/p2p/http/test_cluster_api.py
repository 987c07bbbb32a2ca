"""Jobs, nodes, nets, ratings and settings over HTTP."""

import asyncio
from pathlib import Path

import pytest

from config.catalog import catalog
from managers.event_journal import EventJournal
from managers.event_source import events_of
from managers.state.commands import Drain, Fail, HaltAll, Join
from p2p.http.cluster_api import Kept
from ringrift_core.registry.admission import admit
from tests.http_door import SETTINGS, Client, FakeDoor, answering, ask
from tests.loop_states import GAME, NODE, Loop, digest
from tests.unit.managers.verdicts import KEY
from tests.unit.registry.nets import NOW, family


def test_jobs_are_listed_those_that_run_first_and_chosen_by_what_they_are():
    loop = Loop()
    loop.judge(loop.train(1), 1, "failed")
    waiting, running = loop.queue_training(), loop.selfplay()

    async def use(client: Client) -> None:
        async def ids(query: str) -> tuple[list[str], int]:
            found = await (await client.get(f"/jobs?{query}")).json()
            return [job["id"] for job in found["jobs"]], found["total"]

        everything, total = await ids("")
        assert (everything[:2], total) == ([running, waiting], 4)
        assert await ids("status=active&limit=1") == ([running], 2)
        assert await ids("status=queued") == ([waiting], 1)
        ended, _ = await ids("status=ended")
        assert ended == everything[2:]
        assert await ids("kind=gauntlet") == ([ended[0]], 1)
        assert await ids("game=square8_2p") == ([], 0)

    ask(answering(FakeDoor(loop)), use)


@pytest.mark.parametrize("query", ["status=gone", "kind=chess", "game=hex9_2p", "limit=no", "limit=-1"])
def test_a_wrong_choice_of_jobs_says_what_to_write(query: str):
    async def use(client: Client) -> None:
        answer = await client.get(f"/jobs?{query}")
        assert answer.status == 400
        assert (await answer.json())["error"]["message"]

    ask(answering(FakeDoor()), use)


def test_a_job_tells_its_spec_its_history_and_why_it_waits():
    loop = Loop()
    job = loop.selfplay()
    fence = loop.state.jobs.active[job].fence
    before = loop.state
    result = loop.do(Fail(job=job, fence=fence, reason="killed", retry_after_s=30))
    door = FakeDoor(loop)
    door.journal = EventJournal()
    for event in events_of(before, loop.state, result):
        door.journal.append(event, result.seq)

    async def use(client: Client) -> None:
        found = await (await client.get(f"/jobs/{job}")).json()
        assert (found["id"], found["status"], found["attempts"]) == (job, "queued", 1)
        assert found["spec"]["model"] == "heuristic"
        assert [row["type"] for row in found["history"]] == ["WORK_FAILED"]
        assert found["why"] == "tried again in 30 s; attempt 1 failed: killed"
        missing = await client.get("/jobs/nothing")
        assert (missing.status, (await missing.json())["error"]["code"]) == (404, "not_found")

    ask(answering(door), use)


def test_nodes_are_told_with_who_is_silent_or_drains():
    loop = Loop()
    loop.do(Join(node="other", session=3, cores=8, gpus=2, memory_bytes=5, public_key="A" * 43))
    loop.do(Drain(node="other", draining=True))
    door = FakeDoor(loop)
    door.silent = {"other": "silent for 100 s"}

    async def use(client: Client) -> None:
        mine, other = (await (await client.get("/nodes")).json())["nodes"]
        assert (mine["node_id"], mine["self"], mine["alive"]) == (NODE, True, True)
        assert {"ringrift", "protocol", "rules", "python"} == mine["versions"].keys()
        assert (other["node_id"], other["self"], other["alive"], other["draining"]) == ("other", False, False, True)
        assert (other["gpus"], other["session"], other["versions"]) == (2, 3, None)
        assert (mine["public_key"], other["public_key"]) == ("", "A" * 43)

    ask(answering(door), use)


def test_nets_are_listed_with_their_roles_and_found_by_their_first_digits(tmp_path: Path):
    nets = family(tmp_path / "nets", 1)
    loop = Loop()
    for number in (1, 2, 3):
        loop.crown(number)
    loop.roll_back(3, to=2)
    door = FakeDoor(loop, tmp_path / "models")
    admit(tmp_path / "models", nets[0].path, KEY, NOW)

    async def use(client: Client) -> None:
        rows = {row["sha256"]: row for row in (await (await client.get("/models")).json())["models"]}
        roles = {sha256: row["role"] for sha256, row in rows.items()}
        assert roles == {
            digest(2): "champion", digest(3): "blocked", digest(1): "current", nets[0].sha256: None,
        }  # fmt: skip
        assert (rows[digest(3)]["status"], rows[digest(2)]["elo"], rows[digest(2)]["path"]) == (
            "rolled back", None, None,
        )  # fmt: skip
        mine = rows[nets[0].sha256]
        assert (mine["version"], mine["status"], mine["path"]) == (1, "registered", f"versions/{nets[0].sha256}.pth")
        one = await (await client.get(f"/models/{nets[0].sha256[:8]}")).json()
        assert one == mine
        statuses = [(await client.get(f"/models/{it}")).status for it in (nets[0].sha256[:7], "f" * 64, "0" * 8, "xyz")]
        assert statuses == [400, 404, 409, 400]
        assert (await (await client.get("/models?game=square8_2p")).json())["models"] == []

    ask(answering(door), use)


def test_ratings_are_told_best_first_with_the_games_that_are_remembered():
    loop = Loop()
    loop.crown(1, elo=1410.0)

    async def use(client: Client) -> None:
        found = await (await client.get("/elo")).json()
        assert found["games"] == {
            GAME: [
                {
                    "sha256": digest(1), "sims": 64, "elo": 1410.0, "margin": 30.0, "games": 50, "version": 1,
                    "role": "champion",
                }
            ]
        }  # fmt: skip
        assert (await (await client.get("/elo?game=square8_2p")).json())["games"] == {"square8_2p": []}
        assert (await client.get("/elo?game=chess")).status == 400

    ask(answering(FakeDoor(loop)), use)


def test_settings_are_told_with_who_said_them():
    async def use(client: Client) -> None:
        found = await (await client.get("/config")).json()
        assert found["settings"]["games"] == [GAME]
        assert found["settings"]["node"]["port"] == SETTINGS.node.port
        assert found["provenance"] == {"games": "command line"}
        assert {path.partition(".")[0] for path in catalog()} == found["settings"].keys()

    ask(answering(FakeDoor()), use)


def test_a_list_is_made_once_a_second():
    async def run() -> None:
        now, made = [5.0], []
        kept = Kept(lambda: now[0])

        def make() -> int:
            made.append(now[0])
            return len(made)

        assert [await kept.get("a", make), await kept.get("a", make), await kept.get("b", make)] == [1, 1, 2]
        now[0] += 1.0
        assert await kept.get("a", make) == 3
        assert await asyncio.gather(*(kept.get("c", make) for _ in range(5))) == [4] * 5

    asyncio.run(run())


def test_a_halt_is_why_a_job_waits():
    loop = Loop()
    job = loop.queue_training()
    loop.do(HaltAll(by="admin", reason="the fan is loud"))

    async def use(client: Client) -> None:
        assert (await (await client.get(f"/jobs/{job}")).json())["why"] == "halted by admin: the fan is loud"

    ask(answering(FakeDoor(loop)), use)
