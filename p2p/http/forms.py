"""The bodies of orders, as records; and the forms of promotions and rollbacks, which stand beside their handlers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from managers.promotion_desk import ModelPath
from managers.runtime.event import Reason
from managers.state.record import Record, Text
from p2p.identity.credentials import CHARS_MAX
from ringrift_core.evaluation.record import Label

NO_REASON = "no reason given"


class HaltForm(BaseModel):
    """The body of a halt."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str = Field(default=NO_REASON, max_length=1000)


class EmptyForm(BaseModel):
    """A body in which nothing is to be said."""

    model_config = ConfigDict(extra="forbid")


class SessionForm(BaseModel):
    """The body of a wish for a session."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    token: str = Field(max_length=CHARS_MAX, repr=False)


class EventForm(BaseModel):
    """An event to be published."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Reason  # a public name, an alias or a dotted topic
    payload: dict[str, object] = Field(default_factory=dict, max_length=100)
    source: Label | None = None  # None: this node


class DistributeForm(Record):
    """The net that shall be everywhere as the canonical file of its game."""

    model_path: ModelPath
    force: bool = False
    board_type: str | None = None  # these two: where the file's name does not say it
    num_players: int | None = None
    reason: Text = ""


class SyncForm(Record):
    """What is to be brought from other nodes."""

    what: Literal["games", "models", "all"] = "all"


class BaselineForm(Record):
    """What the production net was worth when it was promoted."""

    metrics: dict[str, object] = Field(max_length=100)
