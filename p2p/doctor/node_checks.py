"""Checks of a node: settings, ports, tokens, its folder, the node that runs, its peers. Facts in, findings out."""

from collections.abc import Sequence

from p2p.doctor.facts import (
    FolderFacts,
    ListeningFacts,
    PeerFacts,
    PortFacts,
    RunningFacts,
    SettingsFacts,
    TokenFacts,
)
from p2p.doctor.finding import Finding, fail, ok, warn
from p2p.doctor.machine_checks import CLOCK_FAIL_S, CLOCK_WARN_S

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
TOKEN_CHARS_MIN = 16
MAKE_TOKEN = "(umask 077; head -c 24 /dev/urandom | base64 > admin.token)"  # noqa: S105 - a command
OWN_PORT = "node.port"  # the other ports are for convenience


def check_settings(facts: SettingsFacts) -> Finding:
    """Whether they can be read, and what somebody should know who wrote them."""
    if facts.trouble:
        return fail("settings", facts.trouble, "mend that line; what follows is judged by the defaults")
    if facts.remarks:
        return warn("settings", "; ".join(facts.remarks), "mend or leave out what is ignored")
    return ok("settings", "readable")


def check_port(facts: PortFacts) -> Finding:
    """Whether a node can listen there, or does."""
    name = f"port {facts.port}"
    critical = facts.setting == OWN_PORT
    flag = "--port" if critical else f"--set {facts.setting}=PORT"
    if facts.state == "ours":
        return ok(name, "this node listens there")
    if facts.state == "taken":
        who = f" ({facts.by})" if facts.by else ""
        advice = f"find out who with: ss -ltnp sport = :{facts.port}; or say {flag}"
        return (fail if critical else warn)(name, f"another process listens there{who}", advice)
    if facts.state == "forbidden":
        return (fail if critical else warn)(name, "this user may not listen there", f"say {flag} of 1024 or more")
    if facts.state == "elsewhere":
        text = f"{facts.host} is no address of this machine"
        return fail(name, text, "say --host 0.0.0.0, or an address that `ip address` shows")
    return ok(name, "free")


def check_token(facts: TokenFacts, listening: ListeningFacts) -> Finding:
    """Whether a token is there where it must be, and nobody else can read it."""
    name = f"{facts.name} token"
    open_wide = listening.host not in LOOPBACK
    if facts.trouble:
        return fail(name, f"{facts.source}: {facts.trouble}", f"make one with: {MAKE_TOKEN}")
    if not facts.source:
        return _no_token(facts.name, listening) if open_wide else ok(name, "none is set: only this machine reaches it")
    if facts.chars < TOKEN_CHARS_MIN:
        text = f"{facts.source}: {facts.chars} characters"
        return fail(name, text, f"a token has at least {TOKEN_CHARS_MIN}; make one with: {MAKE_TOKEN}")
    if facts.readable_by_others:
        return fail(
            name, f"{facts.source}: others can read it", "make a new one, or chmod 600 it if nobody has read it"
        )
    if open_wide and not listening.tls:
        text = f"{facts.source}: set, but it goes over plain HTTP to {listening.host}"
        return warn(name, text, "say --tls-cert and --tls-key, or listen at 127.0.0.1 behind a tunnel")
    return ok(name, f"{facts.source}: set")


def _no_token(kind: str, listening: ListeningFacts) -> Finding:
    """A token that is not there, of a node that other machines reach."""
    name = f"{kind} token"
    if kind == "cluster":
        return ok(name, "none is set: no other node may join")
    if listening.now:
        return ok(name, "none is set for the doctor; the node that works has one")
    text = f"none is set, and the node would listen at {listening.host}"
    return fail(name, text, f"set RINGRIFT_ADMIN_TOKEN, or say --admin-token-file; make one with: {MAKE_TOKEN}")


def check_tls(facts: ListeningFacts) -> Finding:
    """Whether certificate and key can be used."""
    if facts.tls_trouble:
        return fail("tls", facts.tls_trouble, "say a PEM certificate and the key that belongs to it")
    return ok("tls", "certificate and key fit" if facts.tls else "none: plain HTTP")


def check_running(facts: RunningFacts | None) -> Finding:
    """How the node is that works in the folder."""
    if facts is None:
        return ok("node", "none runs in the folder")
    name = f"{facts.node_id or 'a node'} (process {facts.pid})"
    if facts.trouble:
        return fail("node", f"{name} does not answer: {facts.trouble}", "look into logs/coordination.log; restart it")
    if facts.health == "failing":
        return fail("node", f"{name} is failing: {'; '.join(facts.reasons)}", "look into logs/coordination.log")
    if facts.waits:
        advice = "start the others, or mend what it names; a cluster that it never comes into: voters forget-id"
        return warn("node", f"{name} is in no cluster yet: it waits {facts.waits}", advice)
    if facts.health == "halted":
        return warn("node", f"{name} is halted", "ringrift loop --resume --data-dir DIR, with its folder, goes on")
    if facts.reasons:
        return warn("node", f"{name} works without {'; '.join(facts.reasons)}", "look into logs/coordination.log")
    return ok("node", f"{name} works")


def check_log(facts: FolderFacts) -> Finding:
    """Whether the replicated state can be read back."""
    if facts.trouble:
        return fail("log", f"the folder cannot be read: {facts.trouble}", "make it readable for this user")
    if facts.log_trouble:
        return fail("log", facts.log_trouble, "restore raft/ from a copy; what it said was acknowledged")
    if facts.damaged:
        return warn("log", "; ".join(facts.damaged), "an older snapshot makes up for it: check the disk")
    if facts.held:
        return ok("log", "a process works with it")
    if not facts.used:
        return ok("log", "none yet: no node has worked in the folder")
    return ok("log", "readable" if facts.records is None else f"readable, {facts.records} records")


def check_models(facts: FolderFacts) -> Finding:
    """Whether nets are what they are called, and the canonical ones the champions."""
    if facts.trouble:
        return fail("models", f"the folder cannot be read: {facts.trouble}", "make it readable for this user")
    if facts.faults:
        worst = next((it for it in facts.faults if it.grave), facts.faults[0])
        more = f", and {len(facts.faults) - 1} more like it" if len(facts.faults) > 1 else ""
        return (fail if worst.grave else warn)("models", f"{worst.text}{more}", worst.advice)
    if facts.not_installed:
        return warn("models", "; ".join(facts.not_installed), "a node installs the champion by itself: start it")
    return ok("models", "every net is what its digest says" if facts.used else "none yet")


def check_peer(facts: PeerFacts) -> Finding:
    """Whether another node is reached, is well, and has our time."""
    name = f"peer {facts.address}"
    if not facts.connects:
        return fail(name, f"cannot be reached: {facts.trouble}", "start it, open its port, or correct the address")
    if facts.trouble:
        return fail(name, f"answers as no node: {facts.trouble}", "correct the address, or see who listens there")
    ahead = facts.ahead_s
    if ahead is not None and abs(ahead) >= CLOCK_WARN_S:
        text = f"its clock is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"
        level = fail if abs(ahead) >= CLOCK_FAIL_S else warn
        return level(name, text, "let a time server keep both clocks (chrony, systemd-timesyncd)")
    if facts.health == "failing":
        return warn(name, "answers and is failing", "look into its logs/coordination.log")
    return ok(name, f"answers{f', {facts.health}' if facts.health else ''}")


def check_peers(facts: Sequence[PeerFacts], own: str = "") -> list[Finding]:
    """Each of them, and whether they are in one cluster; `own` is that of the node that works in the folder."""
    found = [check_peer(peer) for peer in facts]
    clusters: dict[str, list[str]] = {own: ["this node"]} if own else {}
    for peer in facts:
        if peer.cluster:
            clusters.setdefault(peer.cluster, []).append(peer.address)
    if len(clusters) > 1:
        text = "; ".join(f"{', '.join(addresses)} in {cluster}" for cluster, addresses in clusters.items())
        advice = (
            "two clusters are never merged: take the nodes of one out of the peers; one that has only adopted an id: "
            "ringrift-p2p voters forget-id"
        )
        found.append(fail("clusters", text, advice))
    return found
