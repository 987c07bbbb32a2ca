"""YAML files as entries that know their line; whatever is wrong with a file is a ConfigError with that line.

Plain data only: mappings, lists, texts, numbers, true, false, null. No anchors and aliases, no tags, no key twice; size
and depth are bounded. `1e-3` is a number here (YAML 1.1 says it is a text), a date is a text.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from config.environment import ConfigError, shown

FILE_BYTES_MAX = 1 << 18
DEPTH_MAX = 16  # of mappings and lists within each other
NUMBER_CHARS_MAX = 100  # longer ones cost time to read and mean nothing

Plain = bool | int | float | str | tuple["Plain", ...] | dict[str, "Plain"] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and who says it."""

    value: Plain
    source: str  # "FILE:LINE", the name of a variable, ...
    below: dict[str, "Entry"] | None = None  # the entries of a mapping


class BoundedLoader(yaml.SafeLoader):
    """A SafeLoader that refuses aliases and depth before it follows them."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Count the depth; yaml calls this for every node."""
        if self.check_event(yaml.AliasEvent):
            raise self._refusal("an alias is not read; write the value itself")
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise self._refusal("nested too deeply")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _refusal(self, text: str) -> yaml.MarkedYAMLError:
        mark: yaml.Mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        return yaml.MarkedYAMLError(None, None, text, mark)


BoundedLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path, name: str) -> dict[str, Entry]:
    """The entries at the top of a file, which messages call `name`; ConfigError when it cannot be read."""
    top = parse_yaml(_text(path, name), name)
    if top is None or (top.below is None and top.value is None):
        return {}
    if top.below is None:
        raise ConfigError(f"{name}: no settings; write sections such as `training:` with `steps: 1500` below")
    return top.below


def parse_yaml(text: str, name: str) -> Entry | None:
    """What a text says, None where it says nothing; ConfigError when it is no YAML."""
    loader = None
    try:
        loader = BoundedLoader(text)
        root = loader.get_single_node()
        return None if root is None else _Reader(loader, name).entry(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f":{mark.line + 1}"
        reason = " ".join(text for text in (error.context, error.problem) if text)
        raise ConfigError(f"{name}{line}: no YAML: {reason}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: no YAML: {' '.join(str(error).split())}") from None
    finally:
        if loader is not None:
            loader.dispose()


def _text(path: Path, name: str) -> str:
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{name}: no file; write the path of a YAML file")
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise ConfigError(f"{name}: there is no such file; write the path of a YAML file") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigError(f"{name}: cannot be read ({reason}); make it readable for this user") from None
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"{name}: larger than {FILE_BYTES_MAX >> 10} KiB; settings are smaller")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


class _Reader:
    """Nodes to entries."""

    def __init__(self, loader: BoundedLoader, name: str) -> None:
        self._loader, self._name = loader, name

    def entry(self, node: yaml.Node) -> Entry:
        source = self._source(node)
        if isinstance(node, yaml.MappingNode):
            below = self._mapping(node)
            return Entry({key: entry.value for key, entry in below.items()}, source, below)
        if isinstance(node, yaml.SequenceNode):
            self._plain(node, "seq")
            return Entry(tuple(self.entry(item).value for item in node.value), source)
        return Entry(self._scalar(node), source)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Entry]:
        self._plain(node, "map")
        below: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise ConfigError(f"{self._source(key_node)}: a key is no name; write names such as `training`")
            if key in below:
                raise ConfigError(
                    f"{self._source(key_node)}: {shown(key)} is there twice, first in {below[key].source}; "
                    "keep one of them"
                )
            below[key] = self.entry(value_node)
        return below

    def _scalar(self, node: yaml.Node) -> bool | int | float | str | None:
        tag = node.tag.removeprefix("tag:yaml.org,2002:")
        if tag in {"str", "timestamp"}:
            return str(node.value)
        if tag not in {"null", "bool", "int", "float"}:
            raise ConfigError(f"{self._source(node)}: {shown(node.value)} is no plain value; write it without a tag")
        if len(node.value) <= NUMBER_CHARS_MAX:
            try:
                value = self._loader.construct_object(node)
            except (ValueError, LookupError):  # what yaml lets through of a tag that does not fit
                pass
            else:
                assert value is None or isinstance(value, bool | int | float)
                return value
        raise ConfigError(f"{self._source(node)}: {shown(node.value)} cannot be read as a value of type {tag}")

    def _plain(self, node: yaml.Node, kind: str) -> None:
        if node.tag != f"tag:yaml.org,2002:{kind}":
            raise ConfigError(f"{self._source(node)}: {shown(node.tag)} is not known; write it without a tag")

    def _source(self, node: yaml.Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}"
