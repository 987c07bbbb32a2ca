"""Settings out of their sources, each value with the name of the one that said it.

    defaults  <  profile  <  file  <  node.conf  <  environment  <  command line

A profile is a file of this package; the command line, else the file, names it. Whatever is wrong is a ConfigError that
says where it stands and what to write.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from config.catalog import catalog, sections, unknown, value_at, yaml_text
from config.environment import ConfigError, environment_remarks, overridden, process_environment, shown
from config.node_conf import NOTHING, read_node_conf
from config.schema import ALIASES, CONFIGURATIONS, Configuration, Settings
from config.yaml_file import Entry, Plain, parse_yaml, read_yaml

PROFILES = Path(__file__).parent / "profiles"
COMMAND_LINE = "command line"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and who said what."""

    settings: Settings
    provenance: Mapping[str, str]  # dotted path of every setting -> "default", "FILE:LINE", a variable, ...
    remarks: tuple[str, ...] = ()  # what somebody should read, one line each

    def explain(self, path: str) -> str:
        """A line on each setting at or below a path: value, source, meaning; ConfigError when there is none."""
        lines = [self._line(name) for name in catalog() if name == path or name.startswith(f"{path}.")]
        if not lines:
            raise unknown(path)
        return "\n".join(lines)

    def _line(self, path: str) -> str:
        setting, source = catalog()[path], self.provenance[path]
        if source != DEFAULT and setting.default:
            source = f"{source}; default {setting.default}"
        return f"{path}: {yaml_text(value_at(self.settings, path))} ({source}): {setting.meaning}"


def load(
    file: Path | None = None,
    *,
    profile: str | None = None,
    overrides: Mapping[str, Plain] | None = None,
    environment: Mapping[str, str] | None = None,
    node_conf: Path | None = None,
) -> Loaded:
    """The settings of a node; ConfigError when a source cannot be read or says what may not be.

    `overrides` are settings by dotted path from the command line, `profile` is one of them. `environment` stands for
    that of this process; `node_conf` is the file of this machine, such as NODE_CONF (config/node_conf.py).
    """
    variables = process_environment() if environment is None else environment
    asked = _named((path, Entry(value, COMMAND_LINE)) for path, value in (overrides or {}).items())
    if profile is not None:
        asked["profile"] = Entry(profile, COMMAND_LINE)
    said = {} if file is None else _named(_leaves(_file(file), ""))
    by_variable = {path: Entry(value, name) for name, path, value in overridden(variables)}
    machine = NOTHING if node_conf is None else read_node_conf(node_conf)
    chosen = said | dict(machine.settings) | by_variable | asked
    entries = _profile(chosen.get("profile")) | chosen
    settings = _validated(entries)
    sources = {path: entries[path].source if path in entries else DEFAULT for path in catalog()}
    remarks = (*machine.remarks_beside(variables), *environment_remarks(variables))
    return Loaded(settings, MappingProxyType(sources), remarks)


def parse_override(text: str) -> tuple[str, Plain]:
    """`training.steps=1500` as path and value, read as YAML reads it; ConfigError when it is none."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"{shown(text)} sets nothing; write PATH=VALUE, such as training.steps=1500")
    entry = parse_yaml(value, COMMAND_LINE)
    return path.strip(), None if entry is None else entry.value


def _file(path: Path) -> dict[str, Entry]:
    name = str(path)
    return read_yaml(path, name if name.isprintable() else repr(name))


def _leaves(tree: Mapping[str, Entry], prefix: str) -> Iterator[tuple[str, Entry]]:
    """The entries of a file by their paths; a section without anything below it says nothing."""
    for name, entry in tree.items():
        path = f"{prefix}{name}"
        if path not in sections() or (entry.below is None and entry.value is not None):
            yield path, entry
        else:
            yield from _leaves(entry.below or {}, f"{path}.")


def _named(pairs: Iterable[tuple[str, Entry]]) -> dict[str, Entry]:
    """Entries by the paths of their settings: the documents' names become ours, others are refused."""
    found: dict[str, Entry] = {}
    for path, entry in pairs:
        ours = "games" if path == CONFIGURATIONS else ALIASES.get(path, path)
        if ours in sections():
            raise ConfigError(f"{entry.source}: {path} is a section; write settings below it")
        if ours not in catalog():
            raise ConfigError(f"{entry.source}: {unknown(path)}")
        if ours in found:
            raise ConfigError(f"{entry.source}: {path} is said already in {found[ours].source}; keep one of them")
        found[ours] = _games_of(entry) if path == CONFIGURATIONS else entry
    return found


def _games_of(entry: Entry) -> Entry:
    """`configurations` as `games`."""
    games: list[Plain] = []
    for item in entry.value if isinstance(entry.value, tuple) else (None,):
        try:
            one = Configuration.model_validate(item)
        except ValidationError:
            raise ConfigError(
                f"{entry.source}: {CONFIGURATIONS} is no list of games; "
                "write entries such as `- {board_type: hex8, num_players: [2, 3]}`"
            ) from None
        games += [f"{one.board_type}_{players}p" for players in one.num_players]
    return Entry(tuple(games), entry.source)


def _profile(chosen: Entry | None) -> dict[str, Entry]:
    """What a profile says."""
    name = "local" if chosen is None else chosen.value
    known = sorted(path.stem for path in PROFILES.glob("*.yaml"))
    if not isinstance(name, str) or name not in known:
        source = DEFAULT if chosen is None else chosen.source
        raise ConfigError(f"{source}: profile is {shown(name)}; write {catalog()['profile'].allowed}")
    entries = _named(_leaves(read_yaml(PROFILES / f"{name}.yaml", f"profile {name}"), ""))
    return {path: Entry(entry.value, f"profile {name}") for path, entry in entries.items()}


def _validated(entries: Mapping[str, Entry]) -> Settings:
    """The settings of which these are not the default; ConfigError with the first of them that may not be."""
    tree: dict[str, object] = {}
    for path, entry in entries.items():
        *above, name = path.split(".")
        section = tree
        for key in above:
            below = section.setdefault(key, {})
            assert isinstance(below, dict)
            section = below
        section[name] = entry.value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise _refusal(error, entries) from None


def _refusal(error: ValidationError, entries: Mapping[str, Entry]) -> ConfigError:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    own = str(first["ctx"]["error"]) if first["type"] == "value_error" else None
    names = [str(name) for name in first["loc"]]
    path = next(
        path for end in range(len(names), -1, -1) if (path := ".".join(names[:end])) in {*catalog(), *sections()}
    )
    if path in sections():
        sources = dict.fromkeys(entry.source for name, entry in entries.items() if name.startswith(f"{path}."))
        return ConfigError(f"{', '.join(sources)}: {path}: {own or first['msg']}")
    value = entries[path].value
    if value is None or isinstance(value, bool):
        text = yaml_text(value)
    else:
        text = shown(list(value) if isinstance(value, tuple) else value)
    return ConfigError(f"{entries[path].source}: {path} is {text}; {own or f'write {catalog()[path].allowed}'}")
