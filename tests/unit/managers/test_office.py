"""Office: who decides, and from when on."""

from dataclasses import dataclass

import pytest

from managers.office import LEASE_S, Office
from managers.state import commands as asked
from managers.state.cluster_state import ClusterState
from tests.commanded import Commanded


@dataclass
class Led:
    """The consensus, as far as an office sees it."""

    cluster: Commanded
    term_led: int | None = 0

    @property
    def state(self) -> ClusterState:
        return self.cluster.state


@pytest.fixture
def led() -> Led:
    cluster = Commanded()
    cluster.join("n1")
    cluster.join("n2")
    return Led(cluster)


def office(led: Led, node: str = "n1", session: int = 1) -> Office:
    return Office(led, node, session)  # type: ignore[arg-type]


def take(led: Led, node: str = "n1") -> None:
    wanted = office(led, node).wanted(led.cluster.at)
    assert wanted is not None
    led.cluster.do(wanted)


def test_a_won_election_is_no_office_before_its_taking_has_been_applied(led: Led):
    assert not office(led).held
    take(led)
    assert office(led).epoch == led.state.epoch > 0
    assert office(led).wanted(led.cluster.at) is None


def test_nobody_wants_an_office_without_an_election(led: Led):
    led.term_led = None
    assert office(led).wanted(led.cluster.at) is None


def test_a_lost_election_ends_the_office_at_once(led: Led):
    take(led)
    led.term_led = None
    assert office(led).epoch is None


def test_a_second_election_needs_a_second_taking_and_what_was_decided_before_is_refused(led: Led):
    take(led)
    before = led.state.epoch
    led.term_led = 7
    assert not office(led).held
    take(led)
    assert office(led).epoch == led.state.epoch > before
    assert "this is epoch" in led.cluster.refused(asked.Drain(node="n2"), epoch=before)


def test_another_node_or_another_life_does_not_hold_it(led: Led):
    take(led)
    assert not office(led, "n2").held
    assert not office(led, session=2).held


def test_an_office_is_renewed_in_time(led: Led):
    take(led)
    later = led.cluster.at + 0.6 * LEASE_S
    renewal = office(led).wanted(later)
    assert renewal is not None
    led.cluster.at = later
    epoch = led.state.epoch
    led.cluster.do(renewal)
    assert (led.state.epoch, office(led).wanted(later)) == (epoch, None)
