"""Probes of a node: its ports, tokens, lock, the process that works in its folder. They find facts, decide nothing."""

import asyncio
import errno
import fcntl
import json
import os
import socket
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path

import psutil
from pydantic import ValidationError

from config.schema import Settings
from config.sections import NodeSettings
from managers.state.log_files import LOCK
from p2p.doctor.facts import ListeningFacts, PortFacts, PortState, RunningFacts, TokenFacts
from p2p.http.node_client import NotRunning, fetch
from p2p.http.node_socket import read_record
from ringrift_core.errors import RingriftError, StorageError
from ringrift_core.storage import read_bounded

ANSWER_S = 5.0
TOKEN_BYTES_MAX = 4096
FILES = ("admin_token_file", "cluster_token_file", "tls_cert", "tls_key")  # settings of a node
VARIABLES = {"admin": "RINGRIFT_ADMIN_TOKEN", "cluster": "RINGRIFT_CLUSTER_AUTH_TOKEN"}
REFUSALS: Mapping[int, PortState] = {errno.EADDRINUSE: "taken", errno.EACCES: "forbidden", errno.EPERM: "forbidden"}


def is_held(log: Path) -> bool:
    """Whether a process works with a log; the lock is only tried, with a share of it that ends at once."""
    try:
        handle = os.open(log / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def running_found(folder: Path) -> tuple[RunningFacts, float | None]:
    """The node that works in a folder, and how far this machine's clock is ahead of the node's."""
    record = read_record(folder)
    if record is None:
        trouble = "it does not say where it listens; it is starting or ending, or a command works in the folder"
        return RunningFacts(trouble=trouble), None
    facts = RunningFacts(pid=record.pid)
    try:
        health = _object(asyncio.run(fetch(folder, "GET", "/health", timeout_s=ANSWER_S)))
        status = _object(asyncio.run(fetch(folder, "GET", "/status", timeout_s=ANSWER_S)))
    except NotRunning:
        return facts.model_copy(update={"trouble": "nobody listens at its socket"}), None
    except RingriftError as error:
        return facts.model_copy(update={"trouble": str(error)}), None
    reasons = [str(it) for name in ("reasons", "degraded") for it in _list(health.get(name))]
    found = facts.model_copy(
        update={
            "node_id": str(status.get("node_id") or status.get("node") or ""),
            "health": str(health.get("status", "")),
            "reasons": tuple(reasons),
            "cluster": str(status.get("cluster_id") or ""),
            "waits": str(status.get("waits_for") or ""),
        }
    )
    apart = status.get("clock_apart_s")
    return found, float(apart) if isinstance(apart, int | float) else None


def as_it_runs(settings: Settings, folder: Path, pid: int) -> Settings:
    """Settings with the section `node` of the process that works in a folder; as they are where it does not say it.

    Files that it names relative to its own folder are made absolute.
    """
    try:
        content = _object(asyncio.run(fetch(folder, "GET", "/config", timeout_s=ANSWER_S)))
        said = _part(_part(content, "settings"), "node")
        if "node_id" not in said:
            return settings
        node = NodeSettings.model_validate({**said, "peers": tuple(_list(said.get("peers")))})
        home = Path(psutil.Process(pid).cwd())
    except (RingriftError, ValidationError, psutil.Error, OSError):
        return settings
    named = {name: home / path for name in FILES if (path := getattr(node, name)) is not None}
    return settings.model_copy(update={"node": node.model_copy(update=named)})


def ports_found(settings: Settings, pid: int | None) -> tuple[PortFacts, ...]:
    """The ports that a node wants; those of the process `pid` are its own."""
    node = settings.node
    wanted = {"port": node.port, "metrics_port": node.metrics_port, "health_port": node.health_port}
    found = []
    for name, port in wanted.items():
        if port:
            facts = PortFacts(setting=f"node.{name}", host=node.host, port=port, state=_state(node.host, port))
            found.append(_named(facts, pid) if facts.state == "taken" else facts)
    return tuple(found)


def _state(host: str, port: int) -> PortState:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return REFUSALS.get(error.errno or 0, "elsewhere")
    return "free"


def _named(facts: PortFacts, pid: int | None) -> PortFacts:
    """Who listens there, as far as this user may know."""
    try:
        listeners = {
            it.pid for it in psutil.net_connections("tcp")
            if it.status == psutil.CONN_LISTEN and it.laddr and it.laddr.port == facts.port
        }  # fmt: skip
        if pid is not None and pid in listeners:
            return facts.model_copy(update={"state": "ours"})
        other = next((it for it in listeners if it is not None), None)
        return (
            facts
            if other is None
            else facts.model_copy(update={"by": f"process {other}, {psutil.Process(other).name()}"})
        )
    except (psutil.Error, OSError):
        return facts


def tokens_found(settings: Settings, environment: Mapping[str, str]) -> tuple[TokenFacts, ...]:
    """The tokens of a node; a variable goes before a file."""
    files = (("admin", settings.node.admin_token_file), ("cluster", settings.node.cluster_token_file))
    return tuple(_token(name, path, environment) for name, path in files)


def _token(name: str, path: Path | None, environment: Mapping[str, str]) -> TokenFacts:
    said = environment.get(VARIABLES[name])
    if said:
        return TokenFacts.model_validate({"name": name, "source": VARIABLES[name], "chars": len(said.strip())})
    if path is None:
        return TokenFacts.model_validate({"name": name})
    facts = TokenFacts.model_validate({"name": name, "source": str(path)})
    try:
        mode = path.stat().st_mode
        chars = len(read_bounded(path, TOKEN_BYTES_MAX).strip())
    except OSError as error:
        return facts.model_copy(update={"trouble": f"cannot be read ({error.strerror})"})
    except StorageError as error:
        return facts.model_copy(update={"trouble": str(error).removeprefix(f"{path}: ")})
    return facts.model_copy(update={"chars": chars, "readable_by_others": bool(stat.S_IMODE(mode) & 0o077)})


def listening_found(settings: Settings) -> ListeningFacts:
    """Where the node would listen, and whether its certificate can be used."""
    host, cert, key = settings.node.host, settings.node.tls_cert, settings.node.tls_key
    if cert is None:
        return ListeningFacts(host=host)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError) as error:
        reason = (
            error.reason if isinstance(error, ssl.SSLError) else error.strerror if isinstance(error, OSError) else ""
        )
        return ListeningFacts(host=host, tls=True, tls_trouble=f"{cert}, {key}: cannot be used ({reason or error})")
    return ListeningFacts(host=host, tls=True)


def _object(content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RingriftError("it answers something else than this version expects; restart it")
    return found


def _part(content: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
