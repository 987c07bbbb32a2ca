"""`node.conf`: environment variables of a node as a file, in the form of systemd's EnvironmentFile.

    # the machine in the cellar
    RINGRIFT_NODE_ID=gpu-node-1
    RINGRIFT_P2P_PORT="8770"

NAME=VALUE lines with names of the table in environment.py; a line that starts with `#` or `;` is a comment. A value
ends with its line: text after it belongs to it, `#` too. Quotes and backslashes mean what they mean to systemd; a
value over several lines is refused. Messages never show a value's line: it may hold a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from config.environment import SIMILAR, VARIABLES, ConfigError, shown, value_of
from config.yaml_file import Entry

NODE_CONF = Path("/etc/ringrift/node.conf")
FILE_BYTES_MAX = 1 << 16
BLANKS = " \t\r"
KEPT_BY_DOUBLE_QUOTES = '"\\`$'  # what a backslash within them takes its meaning from; before others it stays


@dataclass(frozen=True, slots=True)
class Said:
    """What a line says."""

    text: str
    source: str  # "FILE:LINE"


@dataclass(frozen=True, slots=True)
class NodeConf:
    """What a file says."""

    variables: Mapping[str, Said]  # by name; values that are not empty
    settings: Mapping[str, Entry]  # by dotted path

    def remarks_beside(self, environment: Mapping[str, str]) -> list[str]:
        """Lines that say nothing, since only the environment counts there and says something else."""
        return [
            f"{it.source}: {name} counts in the environment only; start the node with EnvironmentFile=, or set it there"
            for name, it in self.variables.items()
            if VARIABLES[name].setting is None and environment.get(name) != it.text
        ]


NOTHING = NodeConf({}, {})


def read_node_conf(path: Path) -> NodeConf:
    """What a file says; ConfigError with the line when that may not be said.

    The file at the standard place need not be there.
    """
    name = str(path) if str(path).isprintable() else repr(str(path))
    content = _content(path, name)
    if content is None:
        return NOTHING
    said: dict[str, Said] = {}
    for number, line in enumerate(content.split("\n"), 1):
        source = f"{name}:{number}"
        if (pair := _pair(line, source)) is None:
            continue
        variable, text = pair
        if variable in said:
            raise ConfigError(f"{source}: {variable} is said already in {said[variable].source}; keep one of them")
        said[variable] = Said(text, source)
    set_ones = {variable: it for variable, it in said.items() if it.text}
    entries = [_entry(variable, it) for variable, it in set_ones.items()]
    return NodeConf(set_ones, dict(it for it in entries if it is not None))


def _content(path: Path, name: str) -> str | None:
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{name}: no file; write the path of a file with lines such as RINGRIFT_NODE_ID=gpu-1")
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        if path == NODE_CONF:
            return None
        raise ConfigError(f"{name}: there is no such file; write the path of one, or make it") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigError(f"{name}: cannot be read ({reason}); make it readable for this user") from None
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"{name}: larger than {FILE_BYTES_MAX >> 10} KiB; a node has fewer settings")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: no UTF-8; save the file as UTF-8") from None


def _pair(line: str, source: str) -> tuple[str, str] | None:
    """The variable and the value of a line; None for a comment and for nothing."""
    stripped = _stripped(line)
    if not stripped or stripped[0] in "#;":
        return None
    before, equals, after = stripped.partition("=")
    name = before.strip(BLANKS)
    if not equals:
        raise ConfigError(f"{source}: no setting; write NAME=VALUE, or `#` before a comment")
    if name not in VARIABLES:
        near = get_close_matches(name.removeprefix("export").strip(BLANKS), VARIABLES, 1, SIMILAR)
        advice = f"; write {near[0]}=..." if near else "; docs/reference/configuration.md lists those that there are"
        raise ConfigError(f"{source}: there is no variable {shown(name)}{advice}")
    text = _value(after.lstrip(BLANKS), source)
    if not text.isprintable():
        raise ConfigError(f"{source}: {name} has a control character; write printable text")
    return name, text


def _stripped(line: str) -> str:
    """A line without blanks around it; one that follows a backslash at the end belongs to the value."""
    stripped = line.strip(BLANKS)
    escaped = (len(stripped) - len(stripped.rstrip("\\"))) % 2
    return line.lstrip(BLANKS)[: len(stripped) + escaped]


def _value(text: str, source: str) -> str:
    """A value without its quotes and backslashes."""
    quote = text[:1]
    if quote not in {"'", '"'}:
        return _unescaped(text, source)
    value, at = "", 1
    while at < len(text) and text[at] != quote:
        if quote == '"' and text[at] == "\\" and text[at + 1 : at + 2] in KEPT_BY_DOUBLE_QUOTES:
            at += 1
        value += text[at : at + 1]
        at += 1
    if at >= len(text):
        raise ConfigError(f"{source}: a quote is not closed; close it in the same line")
    if at != len(text) - 1:
        raise ConfigError(f"{source}: there is text after the closing quote; leave it out")
    return value


def _unescaped(text: str, source: str) -> str:
    value, at = "", 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
            if at == len(text):
                raise ConfigError(f"{source}: a backslash at the end; write the value in one line")
        value += text[at]
        at += 1
    return value


def _entry(name: str, said: Said) -> tuple[str, Entry] | None:
    """What a variable sets, by the path of the setting."""
    if VARIABLES[name].secret:
        return None
    try:
        value = value_of(name, {name: said.text})
    except ConfigError as error:
        raise ConfigError(f"{said.source}: {error}") from None
    path = VARIABLES[name].setting
    return None if path is None or value is None else (path, Entry(value, f"{said.source} ({name})"))
