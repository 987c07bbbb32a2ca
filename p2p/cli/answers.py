"""What the commands show of a node's answers. Nodes of other versions say more, or less: only names are needed."""

from typing import Annotated, NoReturn, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from managers.line import one_line
from ringrift_core.errors import RingriftError

Row = TypeVar("Row", bound="Answer")


def as_line(value: object) -> object:
    """A text of the node as one line that a terminal shows as it is; anything else as it is."""
    return one_line(value) if isinstance(value, str) else value


Line = Annotated[str, BeforeValidator(as_line)]


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Place(Answer):
    """What a status says of the node's place in its cluster."""

    role: Line = ""
    leader_id: Line | None = None
    cluster_id: Line | None = None
    term: int | None = None
    epoch: int | None = None
    alive_peer_count: int | None = None


class JobRow(Answer):
    """A job in a list."""

    id: Line
    kind: Line = ""
    game: Line = ""
    status: Line = ""
    node: Line | None = None
    attempts: object = 0  # a number, or the attempts themselves
    progress: Line = ""
    reason: Line = ""
    why: Line = ""  # it waits, runs there, or ended so


class NodeRow(Answer):
    """A member."""

    node_id: Line
    alive: bool | None = None
    draining: bool = False
    unfit: Line = ""  # why it gets no jobs
    self: bool = False
    cores: int | None = None
    gpus: object = None  # a number, or the GPUs themselves
    memory_bytes: int | None = None
    session: int | None = None
    versions: dict[Line, object] | None = None


class ModelRow(Answer):
    """A version of a net."""

    sha256: Line
    game: Line = ""
    version: int | None = None
    status: Line = ""
    role: Line | None = None
    elo: float | None = None
    at: float | None = None  # unix seconds
    size_bytes: int | None = None
    path: Line | None = None  # below models/


class EventRow(Answer):
    """An event."""

    seq: int | str
    type: Line
    timestamp: float | Line | None = None
    source: Line = ""
    payload: dict[str, object] = {}


class EventPage(Answer):
    """Events, and where the next ones begin."""

    events: tuple[EventRow, ...]
    next: int | str
    gap: bool = False  # some between `since` and the first one are not kept any more


class VoterRow(Answer):
    """One who votes, or should."""

    node: Line
    place: Line = ""
    connected: bool | None = None
    missing_s: float | None = None
    epoch: int | None = None
    seq: int | None = None
    version: int | None = None
    trouble: Line = ""


class VotersSaid(Answer):
    """What a node says of those who agree on the state."""

    node_id: Line
    cluster_id: Line = ""
    leader_id: Line | None = None
    term: int | None = None
    epoch: int | None = None
    seq: int | None = None
    version: int | None = None
    trouble: Line = ""
    waits_for: Line = ""
    voters: tuple[VoterRow, ...] = ()


class DaemonRow(Answer):
    """A service of the node."""

    state: Line
    restarts: int = 0
    last_error: Line | None = ""
    critical: bool = False


def rows_of(form: type[Row], content: dict[str, object], name: str) -> list[Row]:
    """The rows of a list in an answer; RingriftError when it is not there or has another form."""
    rows = content.get(name)
    return [read(form, row) for row in rows] if isinstance(rows, list) else _refused(name)


def read(form: type[Row], content: object) -> Row:
    """A part of an answer; RingriftError when it has another form."""
    try:
        return form.model_validate(content)
    except ValidationError as error:
        where = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        return _refused(where)


def table_of(form: type[Row], content: dict[str, object], name: str) -> dict[str, Row]:
    """The rows of an answer by their names."""
    rows = content.get(name)
    if not isinstance(rows, dict):
        _refused(name)
    return {str(as_line(key)): read(form, row) for key, row in rows.items()}


def _refused(what: str) -> NoReturn:
    raise RingriftError(f"the node is of another version (its answer has another {what}); --json shows what it says")
