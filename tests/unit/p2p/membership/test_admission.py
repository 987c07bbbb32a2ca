"""Who is let into a cluster, and what the others are told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from managers.state.cluster_state import Result
from managers.state.commands import Body, Found, Join, SetVoters
from managers.versions import PRESENT, PROTOCOL
from p2p.identity.node_key import NodeKey
from p2p.identity.refusal import Refusal
from p2p.membership.admission import SITE_BURST, Admission, AdmissionRefused, Admitted, Host, JoinForm, sealed
from p2p.membership.bootstrap import Contact
from tests.commanded import Commanded

WALL = 1_700_000_000.0
KEY, OTHER = NodeKey(b"k" * 32), NodeKey(b"o" * 32)
VOTER = Join(
    node="v", session=1, cores=1, public_key=OTHER.text, addresses=("v:8770",), raft_address="v:8771", protocol=PROTOCOL
)


def record(**changes: object) -> Join:
    plain = {
        "node": "n",
        "session": 1,
        "cores": 2,
        "public_key": KEY.text,
        "protocol": PROTOCOL,
        "rules": PRESENT.rules,
    }
    return Join.model_validate({**plain, **changes})


@dataclass
class Cluster:
    """A cluster of the member v, which lets nodes in."""

    commanded: Commanded = field(default_factory=Commanded)
    wall: float = WALL
    admits: bool = True
    nonces: int = 0

    def __post_init__(self) -> None:
        self.commanded.do(Found(cluster_id="c" * 32))
        self.commanded.do(VOTER)
        host = Host(
            "v",
            "f" * 16,
            lambda: self.commanded.state,
            lambda: 7,
            self.propose,
            lambda: self.admits,
            lambda: self.wall,
            lambda: 0.0,
        )
        self.admission = Admission(host)

    async def propose(self, body: Body) -> Result:
        return self.commanded.ask(body)

    def wish(self, body: Join | None = None, *, key: NodeKey = KEY, audience: str = "v", at: float = WALL) -> JoinForm:
        self.nonces += 1
        return sealed(body or record(), audience, key, now=at, nonce=self.nonces.to_bytes(12, "big"))

    def admit(self, form: JoinForm | None = None, address: str = "10.0.0.1") -> Admitted:
        return asyncio.run(self.admission.admit(form or self.wish(), address))

    def refused(self, form: JoinForm, address: str = "10.0.0.1") -> Refusal:
        before = self.commanded.state.members
        with pytest.raises(AdmissionRefused) as caught:
            self.admit(form, address)
        assert self.commanded.state.members == before
        return caught.value.refusal


def test_a_node_is_let_in_and_told_what_it_needs():
    cluster = Cluster()
    found = cluster.admit()
    assert (found.node, found.cluster_id, found.version, found.session) == ("v", "c" * 32, 7, 1)
    assert [(it.node, it.addresses, it.public_key) for it in found.members] == [
        ("v", ("v:8770",), OTHER.text),
        ("n", (), KEY.text),
    ]
    assert found.remarks == ()
    assert cluster.commanded.state.members["n"].public_key == KEY.text


def test_a_card_names_the_voters():
    cluster = Cluster()
    cluster.commanded.do(SetVoters(voters=("v",)))
    cluster.admit()
    card = cluster.admission.card()
    assert (card.node, card.cluster_id, card.contacts) == ("v", "c" * 32, (Contact(node="v", address="v:8770"),))


def test_other_rules_are_let_in_and_told():
    (remark,) = Cluster().admit(Cluster().wish(record(rules="other"))).remarks
    assert "gets no jobs" in remark


@pytest.mark.parametrize(
    ("form", "code", "words"),
    [
        (lambda it: it.wish(record(protocol=0)), "protocol_too_old", "update it"),
        (lambda it: it.wish(record(protocol=PROTOCOL + 1)), "protocol_too_new", "update the cluster first"),
        (lambda it: it.wish(record(node="v", session=2)), "other_key", "--node-id"),
        (lambda it: it.wish(key=OTHER), "bad_signature", "not signed with its key"),
        (lambda it: it.wish(record(public_key="")), "bad_signature", "not signed with its key"),
        (lambda it: it.wish(audience="w"), "other_audience", "this node is v"),
        (lambda it: it.wish(at=WALL - 61), "clock_off", "-61 s apart"),
        (lambda it: it.wish(at=WALL + 61), "clock_off", "+61 s apart"),
        (lambda it: it.wish().model_copy(update={"record": "{}"}), "bad_record", "no record"),
        (lambda it: it.wish().model_copy(update={"signature": "a"}), "bad_record", "no signature"),
        (lambda it: it.wish().model_copy(update={"timestamp": f"{WALL + 1:.6f}"}), "bad_signature", "not signed"),
        (lambda it: it.wish().model_copy(update={"record": record(cores=9).model_dump_json()}), "bad_signature", ""),
    ],
)
def test_refusals_say_what_to_do(form: Callable[[Cluster], JoinForm], code: str, words: str):
    cluster = Cluster()
    found = cluster.refused(form(cluster))
    assert (found.code, words in found.message) == (code, True)
    if code == "clock_off":
        assert found.details == {"server_time": WALL}


def test_an_old_session_is_told_the_latest_one():
    cluster = Cluster()
    cluster.admit(cluster.wish(record(session=4)))
    assert cluster.refused(cluster.wish(record(session=4))).details == {"session": 4.0}
    assert cluster.admit(cluster.wish(record(session=5))).session == 5


def test_a_wish_is_good_once():
    cluster = Cluster()
    form = cluster.wish()
    cluster.admit(form)
    assert cluster.refused(form).code == "replayed"
    cluster.wall += 61
    assert cluster.refused(form).code == "clock_off"


def test_who_does_not_vote_lets_nobody_in():
    assert Cluster(admits=False).refused(Cluster().wish()).code == "not_voter"


def test_wishes_of_one_peer_are_bounded():
    cluster = Cluster()
    for number in range(int(SITE_BURST)):
        cluster.admit(cluster.wish(record(session=number + 1)))
    assert cluster.refused(cluster.wish(record(session=99))).code == "too_many_wishes"
    assert cluster.admit(cluster.wish(record(session=99)), "10.0.0.2").session == 99
