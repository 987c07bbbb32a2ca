"""Every setting by its dotted path: what may be written for it, its default, its meaning; read from the schema."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic_core import PydanticUndefined

from config.environment import ConfigError, shown
from config.schema import ALIASES, CONFIGURATIONS, FOREIGN_SECTIONS, MESH_SECTIONS, Settings
from config.sections import Section

SIMILAR = 0.75  # from here on a path is a misspelt one; 1 is equality
NUMBERS = {"integer": "a whole number", "number": "a number"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be chosen."""

    path: str
    allowed: str  # ends the sentence "write ..."
    default: str  # as one writes it in YAML; nothing where it is found out, as the meaning says
    meaning: str


@cache
def catalog() -> Mapping[str, Setting]:
    """All settings in the order of the schema."""
    return MappingProxyType({setting.path: setting for setting in _settings(Settings, "")})


@cache
def sections() -> Mapping[str, str]:
    """The paths of all sections, and what they are about."""
    return MappingProxyType(dict(_sections(Settings, "")))


def yaml_text(value: object) -> str:
    """A value as one writes it in YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(yaml_text, value))}]"
    return str(value)


def value_at(settings: Settings, path: str) -> object:
    """The value of a setting."""
    value: object = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def unknown(path: str) -> ConfigError:
    """What to say of a path that is no setting; the caller puts before it where it stands."""
    top = path.split(".", maxsplit=1)[0]
    if top in MESH_SECTIONS:
        return ConfigError(f"not in this version: {top} (arrives with the mesh); leave it out")
    if top in FOREIGN_SECTIONS:
        return ConfigError(f"not in this version: {top}; leave it out")
    near = nearest(path)
    if near:
        return ConfigError(f"there is no setting {shown(path)}; did you mean {near}?")
    section, _, _ = path.rpartition(".")
    names = [name.rpartition(".")[2] for name in (*sections(), *catalog()) if name.rpartition(".")[0] == section]
    where = f"{section} has" if names and section else "there are"
    return ConfigError(f"there is no setting {shown(path)}; {where} {', '.join(names or sections())}")


def nearest(path: str) -> str | None:
    """The setting that somebody may have meant: the same word elsewhere, a similar one here, a similar path."""
    section, _, name = path.rpartition(".")
    known = [*catalog(), *sections(), *ALIASES, CONFIGURATIONS]
    same = [other for other in known if other.rpartition(".")[2] == name]
    if same:
        return same[0]
    beside = {other.rpartition(".")[2]: other for other in known if other.rpartition(".")[0] == section}
    close = get_close_matches(name, beside, 1)
    if close:
        return beside[close[0]]
    return next(iter(get_close_matches(path, catalog(), 1, SIMILAR)), None)


def _settings(model: type[Section], prefix: str) -> Iterator[Setting]:
    schema: dict[str, Any] = model.model_json_schema()
    for name, field in model.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, Section):
            yield from _settings(below, f"{prefix}{name}.")
            continue
        form = schema["properties"][name]
        default = "" if field.default is PydanticUndefined else yaml_text(field.default)
        yield Setting(f"{prefix}{name}", _allowed(form), default, field.description or "")


def _sections(model: type[Section], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, Section):
            yield f"{prefix}{name}", (below.__doc__ or "").strip()
            yield from _sections(below, f"{prefix}{name}.")


def _allowed(form: dict[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "allowed" in form:
        return str(form["allowed"])
    if "anyOf" in form:
        return " or ".join("null" if choice.get("type") == "null" else _allowed(choice) for choice in form["anyOf"])
    if "enum" in form:
        *others, last = form["enum"]
        return f"{', '.join(others)} or {last}"
    if form["type"] in NUMBERS:
        return f"{NUMBERS[form['type']]}{_range(form)}"
    if form["type"] == "boolean":
        return "true or false"
    assert form.get("format") == "path", form
    return "a folder"


def _range(form: dict[str, Any]) -> str:
    low, high = form.get("minimum"), form.get("maximum")
    if low is not None and high is not None:
        return f" from {yaml_text(low)} to {yaml_text(high)}"
    start = f"above {yaml_text(form['exclusiveMinimum'])}" if low is None else f"of at least {yaml_text(low)}"
    end = f"below {yaml_text(form['exclusiveMaximum'])}" if high is None else f"at most {yaml_text(high)}"
    return f" {start} and {end}"
