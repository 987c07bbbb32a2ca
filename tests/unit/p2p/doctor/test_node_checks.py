"""Each check of a node can be ok, and can fail; what is wrong is said with what to do."""

import pytest

from p2p.doctor.facts import (
    FaultFacts,
    FolderFacts,
    ListeningFacts,
    PeerFacts,
    PortFacts,
    RunningFacts,
    SettingsFacts,
    TokenFacts,
)
from p2p.doctor.finding import Finding, Level
from p2p.doctor.node_checks import (
    check_log,
    check_models,
    check_peers,
    check_port,
    check_running,
    check_settings,
    check_tls,
    check_token,
)

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
HERE = ListeningFacts(host="127.0.0.1")
EVERYWHERE = ListeningFacts(host="0.0.0.0")


def judged(found: Finding, level: Level, words: str = "") -> None:
    assert found.level is level, found
    assert words in f"{found.text} {found.advice}", found
    assert bool(found.advice) == (level is not OK), "what is wrong comes with what to do"


def test_settings_are_readable_and_nothing_in_them_is_ignored():
    judged(check_settings(SettingsFacts()), OK)
    judged(check_settings(SettingsFacts(remarks=("RINGRIFT_NODEID is ignored",))), WARN, "NODEID")
    judged(check_settings(SettingsFacts(trouble="node.yaml:3: there is no setting 'gamse'")), FAIL, "node.yaml:3")


@pytest.mark.parametrize(
    ("setting", "state", "level"),
    [
        ("node.port", "free", OK),
        ("node.port", "ours", OK),
        ("node.port", "taken", FAIL),
        ("node.port", "forbidden", FAIL),
        ("node.port", "elsewhere", FAIL),
        ("node.health_port", "taken", WARN),
        ("node.health_port", "forbidden", WARN),
        ("node.health_port", "elsewhere", FAIL),
    ],
)
def test_a_node_needs_its_port_and_can_do_without_the_others(setting: str, state: str, level: Level):
    facts = PortFacts.model_validate({"setting": setting, "host": "10.0.0.1", "port": 8770, "state": state})
    judged(check_port(facts), level)


def test_who_has_a_port_is_said():
    facts = PortFacts(setting="node.port", host="127.0.0.1", port=8770, state="taken", by="process 7, python")
    judged(check_port(facts), FAIL, "process 7, python")


ADMIN = TokenFacts(name="admin", source="admin.token", chars=32)


@pytest.mark.parametrize(
    ("facts", "listening", "level", "words"),
    [
        (TokenFacts(name="admin"), HERE, OK, "only this machine"),
        (TokenFacts(name="admin"), EVERYWHERE, FAIL, "--admin-token-file"),
        (TokenFacts(name="admin"), ListeningFacts(host="0.0.0.0", now=True), OK, "the node that works has one"),
        (TokenFacts(name="cluster"), EVERYWHERE, OK, "no other node may join"),
        (ADMIN, HERE, OK, "set"),
        (ADMIN, EVERYWHERE, WARN, "plain HTTP"),
        (ADMIN, ListeningFacts(host="0.0.0.0", tls=True), OK, "set"),
        (ADMIN.model_copy(update={"chars": 15}), HERE, FAIL, "at least 16"),
        (ADMIN.model_copy(update={"readable_by_others": True}), HERE, FAIL, "chmod 600"),
        (ADMIN.model_copy(update={"trouble": "there is no such file"}), HERE, FAIL, "make one"),
    ],
)
def test_a_token_is_there_where_it_must_be_and_nobody_else_has_it(
    facts: TokenFacts, listening: ListeningFacts, level: Level, words: str
):
    judged(check_token(facts, listening), level, words)


def test_certificate_and_key_fit():
    judged(check_tls(HERE), OK)
    judged(check_tls(ListeningFacts(host="0.0.0.0", tls=True, tls_trouble="they do not fit")), FAIL, "do not fit")


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (None, OK, "none runs"),
        ({"health": "ok"}, OK, "works"),
        ({"health": "ok", "reasons": ("GPU_WATCH is stopped",)}, WARN, "GPU_WATCH"),
        ({"health": "halted"}, WARN, "--resume"),
        ({"health": "failing", "reasons": ("the disk is full",)}, FAIL, "the disk is full"),
        ({"trouble": "no answer in 5 s"}, FAIL, "no answer in 5 s"),
    ],
)
def test_the_node_that_runs_is_well(facts: dict[str, object] | None, level: Level, words: str):
    judged(check_running(None if facts is None else RunningFacts.model_validate({"pid": 7, **facts})), level, words)


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        ({"used": False}, OK, "none yet"),
        ({"used": True, "records": 17}, OK, "17 records"),
        ({"used": True, "held": True}, OK, "works with it"),
        ({"used": True, "damaged": ("snapshot-7: damaged",)}, WARN, "snapshot-7"),
        ({"used": True, "log_trouble": "log-1: damaged behind record 5"}, FAIL, "record 5"),
        ({"used": True, "trouble": "takes more than 120 s"}, FAIL, "120 s"),
    ],
)
def test_the_log_can_be_read_back(facts: dict[str, object], level: Level, words: str):
    judged(check_log(FolderFacts.model_validate(facts)), level, words)


GRAVE = FaultFacts(text="a.pth: is not what its name says", advice="delete it", grave=True)
SMALL = FaultFacts(text=".tmp-1: an unfinished file", advice="repair() removes it", grave=False)


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        ({"used": True}, OK, "digest"),
        ({"used": False}, OK, "none yet"),
        ({"used": True, "faults": (SMALL, GRAVE)}, FAIL, "a.pth: is not what its name says, and 1 more"),
        ({"used": True, "faults": (SMALL,)}, WARN, ".tmp-1"),
        ({"used": True, "not_installed": ("hex8_2p: the champion is aa, installed is none",)}, WARN, "hex8_2p"),
        ({"used": True, "trouble": "takes more than 120 s"}, FAIL, "120 s"),
    ],
)
def test_nets_are_what_they_are_called(facts: dict[str, object], level: Level, words: str):
    judged(check_models(FolderFacts.model_validate(facts)), level, words)


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        ({"connects": True, "health": "ok", "ahead_s": -1.0}, OK, "answers, ok"),
        ({"connects": True, "health": "ok", "ahead_s": None}, OK, "answers"),
        ({"connects": True, "health": "ok", "ahead_s": -6.0}, WARN, "6 s behind"),
        ({"connects": True, "health": "ok", "ahead_s": 75.0}, FAIL, "75 s ahead"),
        ({"connects": True, "health": "failing"}, WARN, "failing"),
        ({"connects": True, "trouble": "/health answers 404"}, FAIL, "no node"),
        ({"trouble": "Connection refused"}, FAIL, "Connection refused"),
    ],
)
def test_a_peer_is_reached_is_well_and_has_our_time(facts: dict[str, object], level: Level, words: str):
    (found,) = check_peers([PeerFacts.model_validate({"address": "gpu-2:8770", **facts})])
    judged(found, level, words)


def test_peers_in_two_clusters_are_told_and_those_that_do_not_tell_are_none():
    def peer(address: str, cluster: str) -> PeerFacts:
        return PeerFacts(address=address, connects=True, health="ok", cluster=cluster)

    one = check_peers([peer("a:1", "c" * 32), peer("b:1", "c" * 32), peer("d:1", "")])
    assert [it.level for it in one] == [Level.OK] * 3
    *_, found = check_peers([peer("a:1", "c" * 32), peer("b:1", "d" * 32)])
    assert (found.check, found.level, "never merged" in found.advice) == ("clusters", Level.FAIL, True)
