"""The environment variables of RingRift, one table; nothing else in the project reads the environment.

A node reads the same table from a file too (node_conf.py). An empty variable counts as not set. Where a variable
overrides a setting its default is that of the setting (schema.py). Imports the standard library only: the kernels'
cache asks it for its folder before anything else is there.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

COUNT_DIGITS_MAX = 9
PORT_DIGITS_MAX = 5
PORT_MAX = 65_534  # the port after that of a node belongs to its consensus
SECONDS_MAX = 86_400
SIMILAR = 0.8  # from here on an unknown name is a misspelt one; 1 is equality
SHOWN_CHARS_MAX = 60  # of a value in a message
DEFAULT_URL = "http://localhost:8770"
URLS = ("RINGRIFT_P2P_URL", "P2P_ORCHESTRATOR_URL", "RINGRIFT_COORDINATOR_URL")  # the first that is set counts

Value = bool | int | float | str


class ConfigError(Exception):
    """A setting is not what it may be; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What may stand in a variable."""

    write: str  # ends the sentence "write ..."
    read: Callable[[str], Value]  # ValueError for a text that is none


def _boolean(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if text.strip().lower() not in words:
        raise ValueError(text)
    return words[text.strip().lower()]


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise ValueError(text)
    return share


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= COUNT_DIGITS_MAX and int(text) > 0):
        raise ValueError(text)
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= PORT_DIGITS_MAX and 1 <= int(text) <= PORT_MAX):
        raise ValueError(text)
    return int(text)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= SECONDS_MAX:
        raise ValueError(text)
    return seconds


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError(text)
    if parts.username or parts.password or parts.query or parts.fragment or not text.isprintable() or " " in text:
        raise ValueError(text)
    return text.rstrip("/")


def _only_true(text: str) -> bool:
    if not _boolean(text):
        raise ValueError(text)
    return True


def _name(text: str) -> str:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError(text)
    return text


BOOLEAN = Kind("true or false", _boolean)
SHARE = Kind("a share above 0 and below 1, such as 0.85", _share)
COUNT = Kind("a number of games, such as 50", _count)
NAME = Kind("a name of up to 64 letters, digits, dots, dashes and underscores, a letter or digit first", _name)
PORT = Kind(f"a port from 1 to {PORT_MAX}", _port)
SECONDS = Kind(f"seconds from 1 to {SECONDS_MAX}, such as 300", _seconds)
URL = Kind("a URL such as http://localhost:8770, without a user, a query or a fragment", _url)
ONLY_TRUE = Kind("true, or leave it out: there is no other way here", _only_true)
TEXT = Kind("any text", str)


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable."""

    meaning: str
    kind: Kind
    setting: str | None = None  # the path of the setting that it overrides
    default: str = ""  # in words, where there is no such setting
    secret: bool = False  # only `secret_of` reads it: no setting, no message and no process of a job has what it says


VARIABLES = {
    "RINGRIFT_NODE_ID": Variable("name of this node", NAME, "node.node_id"),
    "RINGRIFT_P2P_PORT": Variable("port of this node", PORT, "node.port"),
    "RINGRIFT_IS_COORDINATOR": Variable(
        "this node never computes and is preferred as a voter", BOOLEAN, "node.coordinator"
    ),
    "RINGRIFT_SWIM_ENABLED": Variable(
        "membership by SWIM; false for a node without peers only", BOOLEAN, "node.swim_enabled"
    ),
    "RINGRIFT_RAFT_ENABLED": Variable(
        "consensus by Raft; false for a node without peers only", BOOLEAN, "node.raft_enabled"
    ),
    "RINGRIFT_EXTRACTED_LOOPS": Variable(
        "accepted when true, refused when false: every loop is a supervised service", ONLY_TRUE, default="true"
    ),
    "USE_P2P_ORCHESTRATOR": Variable(
        "accepted and ignored: a node that has `node.peers` coordinates with them", BOOLEAN, default="not set"
    ),
    "RINGRIFT_P2P_URL": Variable("for clients: the node that they ask", URL, default="`P2P_ORCHESTRATOR_URL`"),
    "P2P_ORCHESTRATOR_URL": Variable("the same", URL, default="`RINGRIFT_COORDINATOR_URL`"),
    "RINGRIFT_COORDINATOR_URL": Variable("the same", URL, default=f"`{DEFAULT_URL}`"),
    "RINGRIFT_DISTRIBUTION_TIMEOUT": Variable(
        "seconds that a promotion waits for its net to be distributed",
        SECONDS,
        "promotion.distribution_timeout_seconds",
    ),
    "RINGRIFT_DISABLE_LOCAL_TASKS": Variable(
        "decide and watch, but start no jobs on this machine", BOOLEAN, "node.disable_local_tasks"
    ),
    "RINGRIFT_AUTO_PROMOTE": Variable(
        "promote what passes the gate; false: wait for a person", BOOLEAN, "promotion.auto_promote"
    ),
    "RINGRIFT_SKIP_GAUNTLET": Variable(
        "promote every candidate without a gauntlet", BOOLEAN, "promotion.skip_gauntlet"
    ),
    "RINGRIFT_SYNC_STAGING": Variable(
        "copy each new champion to the staging folder", BOOLEAN, "promotion.sync_staging"
    ),
    "RINGRIFT_PROMOTION_RANDOM_WIN_RATE": Variable(
        "share of two-player games that a candidate must be proven to exceed against random",
        SHARE,
        "promotion.random_win_rate",
    ),
    "RINGRIFT_PROMOTION_HEURISTIC_WIN_RATE": Variable(
        "the same against heuristic-v1", SHARE, "promotion.heuristic_win_rate"
    ),
    "RINGRIFT_PROMOTION_VS_PREVIOUS_WIN_RATE": Variable(
        "the same against the champion", SHARE, "promotion.vs_previous_win_rate"
    ),
    "RINGRIFT_GAUNTLET_GAMES": Variable(
        "least games against each opponent of a gauntlet before a decision", COUNT, "evaluation.games"
    ),
    "RINGRIFT_DEBUG": Variable("write down what is only of use for finding faults", BOOLEAN, "monitoring.debug"),
    "RINGRIFT_CACHE_DIR": Variable(
        "folder for compiled kernels", TEXT, default="`ringrift` in `$XDG_CACHE_HOME` or `~/.cache`"
    ),
    "RINGRIFT_ADMIN_TOKEN": Variable(
        "token of the people who may change something; goes before the file of `node.admin_token_file`",
        TEXT,
        default="not set",
        secret=True,
    ),
    "RINGRIFT_CLUSTER_AUTH_TOKEN": Variable(
        "token that admits a node to the cluster; goes before the file of `node.cluster_token_file`",
        TEXT,
        default="not set",
        secret=True,
    ),
    "RINGRIFT_UNIFIED_LOOP_LEGACY": Variable(
        "accepted and ignored: `ringrift loop` has `--halt` and `--resume` without it", TEXT, default="not set"
    ),
}
SECRETS = tuple(name for name, variable in VARIABLES.items() if variable.secret)
RATES = {
    "random": "RINGRIFT_PROMOTION_RANDOM_WIN_RATE",
    "heuristic": "RINGRIFT_PROMOTION_HEURISTIC_WIN_RATE",
    "champion": "RINGRIFT_PROMOTION_VS_PREVIOUS_WIN_RATE",
}


def shown(value: object) -> str:
    """A value as messages show it: in one line, cut where it is long, a URL without its user and password."""
    if isinstance(value, str):
        value = re.sub("//[^/?#]*@", "//...@", value)
        return repr(value) if len(value) <= SHOWN_CHARS_MAX else f"{value[:SHOWN_CHARS_MAX]!r}..."
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}..."


def process_environment() -> dict[str, str]:
    """The environment of this process, as it is now."""
    return dict(os.environ)


def value_of(name: str, environment: Mapping[str, str]) -> Value | None:
    """What a variable of the table says, None where it is not set; ConfigError when it cannot be read."""
    assert name not in SECRETS, name
    text = environment.get(name)
    if not text:
        return None
    kind = VARIABLES[name].kind
    try:
        return kind.read(text)
    except ValueError:
        raise ConfigError(f"{name} is {shown(text)}; write {kind.write}") from None


def overridden(environment: Mapping[str, str]) -> Iterator[tuple[str, str, Value]]:
    """Variables that are set, the settings that they override, and the values; ConfigError when one cannot be read."""
    for name, variable in VARIABLES.items():
        value = None if variable.secret else value_of(name, environment)
        if variable.setting is not None and value is not None:
            yield name, variable.setting, value


def secret_of(name: str, environment: Mapping[str, str]) -> str | None:
    """What a secret variable says, None where it is not set. Never to be shown, stored or handed to a child process."""
    assert name in SECRETS, name
    return environment.get(name) or None


def environment_remarks(environment: Mapping[str, str]) -> list[str]:
    """What somebody should know who set these variables: those that do nothing, those that look misspelt."""
    remarks = []
    if environment.get("RINGRIFT_UNIFIED_LOOP_LEGACY"):
        remarks.append("RINGRIFT_UNIFIED_LOOP_LEGACY is ignored: nothing needs it here")
    if environment.get("USE_P2P_ORCHESTRATOR"):
        remarks.append("USE_P2P_ORCHESTRATOR is ignored: a node that has node.peers coordinates with them")
    for name in sorted(environment):
        if name.startswith("RINGRIFT_") and name not in VARIABLES:
            near = get_close_matches(name, VARIABLES, 1, SIMILAR)
            if near:
                remarks.append(f"{shown(name)} is ignored; did you mean {near[0]}?")
    return remarks


def cache_dir() -> Path:
    """Folder for what can be rebuilt at any time."""
    chosen = os.environ.get("RINGRIFT_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ringrift"


def visible_gpus() -> str | None:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` says it; None: all, the empty text: none."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def runtime_dir() -> Path | None:
    """The folder of this user for sockets, where the system has one (`$XDG_RUNTIME_DIR`)."""
    chosen = os.environ.get("XDG_RUNTIME_DIR")
    return Path(chosen) if chosen else None


def p2p_url(environment: Mapping[str, str] | None = None) -> str:
    """The node that clients of this machine ask, without a slash at the end; ConfigError for what is no URL."""
    variables = os.environ if environment is None else environment
    said = (value_of(name, variables) for name in URLS)
    return next((str(url) for url in said if url is not None), DEFAULT_URL)


def promotion_rates() -> dict[str, float]:
    """Win rates wished for, by opponent (random, heuristic, champion), of those that are set."""
    rates = ((opponent, value_of(name, os.environ)) for opponent, name in RATES.items())
    return {opponent: float(rate) for opponent, rate in rates if rate is not None}


def gauntlet_games() -> int | None:
    """Least games against each opponent of a gauntlet, None where nothing is set."""
    games = value_of("RINGRIFT_GAUNTLET_GAMES", os.environ)
    return None if games is None else int(games)
