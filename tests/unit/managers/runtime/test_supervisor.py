"""The Supervisor on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest

from managers.runtime.service import Beat, Restart, RestartBudget, Service, ServiceStatus, State, layers
from managers.runtime.supervisor import ServiceFailedError, Supervisor
from ringrift_core.errors import RulesError
from tests.virtual_time import run_virtual

PLAIN = RestartBudget(restarts_max=3, window_s=100, first_s=1, delay_max_s=10, jitter=0, cooldown_s=500)


class Journal:
    """What happened, in order, and services that write it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.starts: dict[str, list[float]] = {}

    def service(self, name: str, body: Callable[[Beat], Awaitable[None]] | None = None, **options) -> Service:
        async def run(beat: Beat) -> None:
            self.lines.append(f"{name} starts")
            self.starts.setdefault(name, []).append(now())
            try:
                await (body(beat) if body else asyncio.Event().wait())
            finally:
                self.lines.append(f"{name} ends")

        return Service(name, run, **{"budget": PLAIN, **options})


def now() -> float:
    return asyncio.get_running_loop().time()


def supervised(services: Sequence[Service], for_s: float, seed: int = 1, **options) -> dict[str, ServiceStatus]:
    """The statuses after running services for a while."""

    async def main() -> dict[str, ServiceStatus]:
        async with Supervisor(services, np.random.default_rng(seed), **options) as supervisor:
            await asyncio.sleep(for_s)
            return supervisor.status()

    return run_virtual(main())


async def fails(_: Beat) -> None:
    raise ValueError("no luck")


async def returns(_: Beat) -> None:
    await asyncio.sleep(1)


async def swallows(_: Beat) -> None:
    while True:
        try:
            await asyncio.sleep(40)
            break
        except asyncio.CancelledError:
            continue


def test_services_start_after_what_they_need_and_stop_before_it():
    journal = Journal()
    services = [
        journal.service("LOOP", depends_on=("STATE", "JOBS")),
        journal.service("JOBS", depends_on=("STATE",)),
        journal.service("STATE"),
    ]
    supervised(services, 1)
    assert journal.lines == [
        *("STATE starts", "JOBS starts", "LOOP starts"),
        *("LOOP ends", "JOBS ends", "STATE ends"),
    ]


def test_what_needs_a_service_that_must_say_so_waits_for_its_first_beat():
    journal = Journal()

    async def slow(beat: Beat) -> None:
        await asyncio.sleep(5)
        beat()
        await asyncio.Event().wait()

    services = [journal.service("STATE", slow, ready_on_beat=True), journal.service("JOBS", depends_on=("STATE",))]
    early = supervised(services, 4)
    assert (early["STATE"].state, early["JOBS"].state) == (State.STARTING, State.WAITING)
    assert early["JOBS"].waits_for == ("STATE",)
    supervised(services, 6)
    assert journal.starts["JOBS"] == [5]


def test_a_service_that_is_never_ready_is_restarted():
    status = supervised([Journal().service("STATE", ready_on_beat=True, start_timeout_s=7)], 7.5)["STATE"]
    assert (status.state, status.last_error) == (State.BACKOFF, "not ready 7 s after its start")


def test_failures_are_retried_with_doubling_waits_within_the_budget_then_given_up_then_tried_anew():
    journal, given_up = Journal(), []
    told = lambda status: given_up.append((now(), status.name, status.state, status.last_error))  # noqa: E731
    status = supervised([journal.service("REAPER", fails)], 520, on_escalation=told)["REAPER"]
    assert journal.starts["REAPER"] == [0, 1, 3, 7, 507, 508, 510, 514]
    assert given_up == [(at, "REAPER", State.FAILED, "ValueError: no luck") for at in (7, 514)]
    assert (status.state, status.restarts) == (State.FAILED, 7)


def test_failures_that_are_far_apart_cost_no_budget():
    journal = Journal()

    async def lasts(_: Beat) -> None:
        await asyncio.sleep(60)
        raise ValueError

    assert supervised([journal.service("REAPER", lasts)], 1000)["REAPER"].state is not State.FAILED
    assert len(journal.starts["REAPER"]) > 15


def test_the_wait_is_shortened_by_chance_and_bounded():
    budget = RestartBudget(first_s=1, delay_max_s=10, jitter=0.5)
    assert [budget.delay_s(0, 0.0), budget.delay_s(1, 0.5), budget.delay_s(10**6, 0.0)] == [1, 1.5, 10]


def test_equal_seeds_restart_at_equal_moments():
    def starts(seed: int) -> list[float]:
        journal = Journal()
        supervised([journal.service("REAPER", fails, budget=RestartBudget())], 100, seed)
        return journal.starts["REAPER"]

    assert starts(1) == starts(1) != starts(2)


@pytest.mark.parametrize(
    ("restart", "body", "state", "starts"),
    [
        (Restart.ALWAYS, returns, State.BACKOFF, 1),
        (Restart.ON_FAILURE, returns, State.DONE, 1),
        (Restart.NEVER, returns, State.DONE, 1),
        (Restart.ON_FAILURE, fails, State.BACKOFF, 2),
        (Restart.NEVER, fails, State.FAILED, 1),
    ],
)
def test_what_ends_is_restarted_as_its_policy_says(restart: Restart, body, state: State, starts: int):
    journal = Journal()
    status = supervised([journal.service("ONCE", body, restart=restart)], 1.5)["ONCE"]
    assert (status.state, len(journal.starts["ONCE"])) == (state, starts)


def test_a_service_that_is_done_satisfies_those_that_need_it():
    journal = Journal()
    services = [
        journal.service("SWEEP", returns, restart=Restart.NEVER),
        journal.service("JOBS", depends_on=("SWEEP",), restart=Restart.NEVER),
    ]
    supervised(services, 2)
    assert journal.starts["JOBS"] == [0]
    gone = supervised([*services, journal.service("LATE", depends_on=("SWEEP",))], 2)
    assert gone["LATE"].state is State.RUNNING


def test_one_that_fails_leaves_the_others_alone():
    journal = Journal()
    statuses = supervised([journal.service("BAD", fails), journal.service("GOOD")], 600)
    assert (statuses["GOOD"].state, len(journal.starts["GOOD"])) == (State.RUNNING, 1)


def test_a_run_that_cancels_itself_is_a_failure():
    async def cancels(_: Beat) -> None:
        raise asyncio.CancelledError

    status = supervised([Journal().service("ODD", cancels)], 0.5)["ODD"]
    assert (status.state, status.last_error) == (State.BACKOFF, "was cancelled from inside")


def test_a_factory_that_raises_is_a_failure():
    def broken(_: Beat):
        raise ValueError("no coroutine")

    status = supervised([Service("ODD", broken, budget=PLAIN)], 0.5)["ODD"]
    assert status.last_error == "ValueError: no coroutine"


def test_a_critical_service_that_is_given_up_ends_everything_in_order():
    journal = Journal()
    services = [
        journal.service("STATE"),
        journal.service("LOG", fails, depends_on=("STATE",), critical=True),
        journal.service("JOBS", depends_on=("STATE",)),
    ]

    async def main() -> None:
        async with Supervisor(services, np.random.default_rng(1)) as supervisor:
            await supervisor.ended()

    with pytest.raises(ServiceFailedError, match="LOG was given up: ValueError: no luck"):
        run_virtual(main())
    assert journal.lines[-2:] == ["JOBS ends", "STATE ends"]


def test_an_ended_supervisor_raises_though_nobody_waited_for_it():
    async def main() -> None:
        async with Supervisor([Journal().service("LOG", fails, critical=True)], np.random.default_rng(1)):
            await asyncio.sleep(1000)

    with pytest.raises(ServiceFailedError):
        run_virtual(main())


def test_a_wish_to_stop_ends_everything_without_an_error():
    async def main() -> float:
        async with Supervisor([Journal().service("STATE", critical=True)], np.random.default_rng(1)) as supervisor:
            asyncio.get_running_loop().call_later(3, supervisor.request_stop)
            await supervisor.ended()
        return now()

    assert run_virtual(main()) == 3


def test_cancelling_ends_everything_and_leaves_no_task():
    journal = Journal()

    async def node() -> None:
        async with Supervisor([journal.service("STATE"), journal.service("BAD", fails)], np.random.default_rng(1)):
            await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(node())
        await asyncio.sleep(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())
    assert "STATE ends" in journal.lines


def test_an_error_of_the_body_comes_out_as_it_is():
    async def main() -> None:
        async with Supervisor([Journal().service("STATE")], np.random.default_rng(1)):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_virtual(main())


def test_a_service_that_goes_on_when_it_is_cancelled_is_abandoned_and_the_others_stop():
    journal = Journal()
    given_up: list[ServiceStatus] = []

    async def main() -> tuple[float, State]:
        services = [journal.service("STATE"), journal.service("STUCK", swallows, depends_on=("STATE",))]
        supervisor = Supervisor(services, np.random.default_rng(1), on_escalation=given_up.append)
        async with supervisor:
            await asyncio.sleep(1)
        ended = now()
        await asyncio.sleep(100)  # so that the loop can be closed
        return ended, supervisor.status()["STUCK"].state

    assert run_virtual(main()) == (6, State.ABANDONED)
    assert journal.lines == ["STATE starts", "STUCK starts", "STATE ends", "STUCK ends"]
    assert [status.name for status in given_up] == ["STUCK"]


def test_a_service_is_never_run_beside_its_abandoned_run():
    journal = Journal()

    async def main() -> list[float]:
        service = journal.service("STUCK", swallows, ready_on_beat=True, start_timeout_s=10)
        async with Supervisor([service], np.random.default_rng(1)) as supervisor:
            await asyncio.sleep(20)
            assert supervisor.status()["STUCK"].state is State.ABANDONED
            await supervisor.stop("STUCK")
            with pytest.raises(RulesError, match="still runs"):
                supervisor.start("STUCK")
            await asyncio.sleep(50)
            supervisor.start("STUCK")
            await asyncio.sleep(1)
        await asyncio.sleep(100)
        return journal.starts["STUCK"]

    assert run_virtual(main()) == [0, 70]


def test_stopping_one_stops_what_needs_it_and_starting_one_starts_what_it_needs():
    journal = Journal()
    services = [
        journal.service("STATE"),
        journal.service("JOBS", depends_on=("STATE",)),
        journal.service("LOOP", depends_on=("JOBS",)),
        journal.service("HTTP"),
    ]

    async def main() -> None:
        async with Supervisor(services, np.random.default_rng(1)) as supervisor:
            await asyncio.sleep(1)
            await supervisor.stop("JOBS")
            assert [status.state.value for status in supervisor.status().values()] == [
                *("running", "running", "stopped", "stopped")
            ]
            supervisor.start("LOOP")
            await asyncio.sleep(1)
            assert {status.state for status in supervisor.status().values()} == {State.RUNNING}

    run_virtual(main())
    assert journal.lines[4:8] == ["LOOP ends", "JOBS ends", "JOBS starts", "LOOP starts"]


def test_starting_a_service_that_was_given_up_tries_it_at_once_with_a_fresh_budget():
    journal = Journal()

    async def main() -> None:
        async with Supervisor([journal.service("BAD", fails)], np.random.default_rng(1)) as supervisor:
            await asyncio.sleep(50)
            supervisor.start("BAD")
            await asyncio.sleep(3.5)

    run_virtual(main())
    assert journal.starts["BAD"] == [0, 1, 3, 7, 50, 51, 53]


def test_a_service_without_beats_is_reported_stalled_until_it_goes_on():
    told = []

    async def stalls(beat: Beat) -> None:
        for pause_s in (5, 5, 60, 5, 500):
            beat()
            await asyncio.sleep(pause_s)

    def watch(status: ServiceStatus) -> None:
        told.append((now(), status.stalled, status.state))

    status = supervised([Journal().service("LOOP", stalls, progress_s=10)], 150, on_change=watch)["LOOP"]
    assert told[2:5] == [(50, True, State.RUNNING), (70, False, State.RUNNING), (110, True, State.RUNNING)]
    assert (status.stalled, status.progress_age_s) == (True, 75)


def test_an_observer_that_raises_harms_nobody():
    def broken(_: ServiceStatus) -> None:
        raise ValueError("observer")

    statuses = supervised([Journal().service("BAD", fails)], 8, on_change=broken, on_escalation=broken)
    assert statuses["BAD"].restarts == 3


@pytest.mark.parametrize(
    ("depends_on", "message"),
    [({"A": ("B",), "B": ("A",)}, "circle"), ({"A": ("C",)}, "no service"), ({}, "same name")],
)
def test_names_that_do_not_fit_are_refused(depends_on: dict[str, tuple[str, ...]], message: str):
    services = [Service(name, fails, depends_on=needs) for name, needs in depends_on.items()]
    with pytest.raises(RulesError, match=message):
        layers(services or [Service("A", fails), Service("A", fails)])


def test_an_unknown_name_is_refused():
    async def main() -> None:
        async with Supervisor([Journal().service("STATE")], np.random.default_rng(1)) as supervisor:
            supervisor.beat("STATE")
            for call in (supervisor.beat, supervisor.start):
                with pytest.raises(RulesError, match="no service 'JOBS'"):
                    call("JOBS")

    run_virtual(main())
