"""How a node is, in one record."""

import asyncio

import pytest

from managers.circuit_breaker import CircuitBreaker
from managers.gpu_probe import Gpu, Gpus
from managers.health import Health
from managers.health_check_orchestrator import PROBES_MAX, HealthCheckOrchestrator, OwnSight
from managers.ports import ProbedHealth, ProbeError
from managers.resource_watch import Resources
from ringrift_core.errors import RulesError

FINE = Resources(1, 1, 1, 1, 0.0, 0, 0)
OK = ProbedHealth("ok")


class FakeProbe:
    """Other nodes; an error in place of an answer is raised."""

    def __init__(self, **answers: ProbedHealth | Exception) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.together = self.most = 0

    async def health(self, node: str, timeout_s: float) -> ProbedHealth:
        assert timeout_s > 0
        self.asked.append(node)
        self.together += 1
        self.most = max(self.most, self.together)
        await asyncio.sleep(0)
        self.together -= 1
        answer = self.answers[node]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    """Moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def checks_of(probe: FakeProbe | None = None, own: OwnSight | None = None, clock: Clock | None = None, **more):
    probe = probe or FakeProbe()
    clock = clock or Clock()
    sight = own or OwnSight(Health(status="ok"), FINE)
    return HealthCheckOrchestrator(
        "me", lambda: sight, lambda: {"me", *probe.answers}, probe, CircuitBreaker(clock=clock), clock, monotonic=clock
    )


def own(health: Health, found: Resources | None = FINE):
    return asyncio.run(checks_of(own=OwnSight(health, found)).check_node_health("me"))


def test_a_node_that_is_well_is_healthy_and_says_when():
    found = own(Health(status="ok"))
    assert (found.node, found.status, found.reasons, found.at) == ("me", "healthy", (), 100.0)
    assert [check.name for check in found.checks] == ["services", "machine", "gpus"]


@pytest.mark.parametrize(
    ("health", "found", "status", "reasons"),
    [
        (Health(status="failing", reasons=("the log",)), FINE, "unhealthy", ("services: the log",)),
        (
            Health(status="ok", degraded=("CURRICULUM is failed",)),
            FINE,
            "degraded",
            ("services: CURRICULUM is failed",),
        ),
        (Health(status="halted"), FINE, "degraded", ("services: halted",)),
        (Health(status="ok"), None, "unknown", ("machine: not looked at yet",)),
        (Health(status="ok"), Resources(1, 1, 1, 1, 0.0, 0, 0, "disk: full"), "degraded", ("machine: disk: full",)),
        (
            Health(status="ok"),
            Resources(1, 1, 1, 1, 0.0, 0, 0, gpus=Gpus((Gpu(0), Gpu(1, trouble="lost")), "it hangs")),
            "degraded",
            ("gpus: it hangs; GPU 1: lost",),
        ),
        (
            Health(status="failing", reasons=("the log",)),
            Resources(1, 1, 1, 1, 0.0, 0, 0, "disk: full"),
            "unhealthy",
            ("services: the log", "machine: disk: full"),
        ),
    ],
)
def test_it_is_as_its_worst_check_and_says_every_reason(health, found, status, reasons):
    judged = own(health, found)
    assert (judged.status, judged.reasons) == (status, reasons)


@pytest.mark.parametrize(
    ("said", "status", "reasons"),
    [
        (OK, "healthy", ()),
        (ProbedHealth("ok", degraded=("x is down",)), "degraded", ("probe: x is down",)),
        (ProbedHealth("halted"), "degraded", ("probe: halted",)),
        (ProbedHealth("failing", reasons=("a", "b")), "unhealthy", ("probe: a; b",)),
        (ProbedHealth("new word"), "unknown", ("probe: it says 'new word'",)),
        (ProbeError("no way"), "unhealthy", ("probe: no way",)),
        (TimeoutError(), "unhealthy", ("probe: no answer in 5 s",)),
    ],
)
def test_another_node_is_asked(said, status, reasons):
    probe = FakeProbe(b=said)
    found = asyncio.run(checks_of(probe).check_node_health("b"))
    assert (found.status, found.reasons, probe.asked) == (status, reasons, ["b"])


def test_the_latency_of_an_answer_is_told():
    clock = Clock()

    class Slow(FakeProbe):
        async def health(self, node: str, timeout_s: float) -> ProbedHealth:
            clock.now += 0.25
            return OK

    found = asyncio.run(checks_of(Slow(b=OK), clock=clock).check_node_health("b"))
    assert found.checks[0].latency_ms == 250


def test_a_node_that_nobody_knows_is_refused():
    with pytest.raises(RulesError, match="there is no node 'c'"):
        asyncio.run(checks_of(FakeProbe(b=OK)).check_node_health("c"))


def test_a_node_that_has_not_answered_three_times_is_left_alone_for_five_minutes():
    clock, probe = Clock(), FakeProbe(b=ProbeError("no way"))
    checks = checks_of(probe, clock=clock)

    async def look() -> tuple[str, tuple[str, ...]]:
        found = await checks.check_node_health("b")
        return found.status, found.reasons

    for _ in range(3):
        assert asyncio.run(look())[0] == "unhealthy"
    clock.now += 100
    assert asyncio.run(look()) == ("unknown", ("probe: not asked for 200 s: failed 3 times, last: no way",))
    assert len(probe.asked) == 3
    clock.now += 200
    probe.answers["b"] = OK
    assert [asyncio.run(look())[0] for _ in range(2)] == ["healthy", "healthy"]


def test_all_are_looked_at_by_name_and_not_all_at_once():
    probe = FakeProbe(**{f"n{number:03}": OK for number in range(PROBES_MAX + 9)})
    found = asyncio.run(checks_of(probe).check_all())
    assert [it.node for it in found] == sorted([*probe.answers, "me"])
    assert {it.status for it in found} == {"healthy"}
    assert probe.most == PROBES_MAX


def test_a_node_that_leaves_during_the_look_is_left_out():
    members = [["b", "me"], ["me"]]
    clock = Clock()
    checks = HealthCheckOrchestrator(
        "me", lambda: OwnSight(Health(status="ok"), FINE), lambda: members.pop(0), FakeProbe(), CircuitBreaker(), clock
    )
    assert [it.node for it in asyncio.run(checks.check_all())] == ["me"]
