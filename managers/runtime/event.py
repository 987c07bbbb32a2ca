"""What every event has, and the public names of all of them, one table: the members and aliases of DataEventType."""

from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.record import GameName, Label
from ringrift_core.game.config_key import ConfigKey

ENTRIES_MAX = 100  # of a mapping in an event
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Reason = Annotated[str, Field(min_length=1, max_length=2000)]
Numbers = Annotated[
    Mapping[Label, float],
    Field(max_length=ENTRIES_MAX),
    AfterValidator(lambda values: MappingProxyType(dict(values))),  # one handler cannot change it for the next
    PlainSerializer(dict, return_type=dict[str, float]),
]


class DataEventType(StrEnum):
    """Public names. Those with the value of another are its aliases: `DataEventType(...)` and `[...]` give that one."""

    WORK_QUEUED = "WORK_QUEUED"
    WORK_CLAIMED = "WORK_CLAIMED"
    WORK_STARTED = "WORK_STARTED"
    WORK_COMPLETED = "WORK_COMPLETED"
    WORK_FAILED = "WORK_FAILED"
    WORK_LOST = "WORK_LOST"
    WORK_CANCELLED = "WORK_CANCELLED"
    SELFPLAY_COMPLETE = "SELFPLAY_COMPLETE"
    TRAINING_THRESHOLD_REACHED = "TRAINING_THRESHOLD_REACHED"
    TRAINING_STARTED = "TRAINING_STARTED"
    TRAINING_PROGRESS = "TRAINING_PROGRESS"
    TRAINING_COMPLETED = "TRAINING_COMPLETED"
    TRAINING_FAILED = "TRAINING_FAILED"
    EVALUATION_STARTED = "EVALUATION_STARTED"
    EVALUATION_PROGRESS = "EVALUATION_PROGRESS"
    EVALUATION_COMPLETED = "EVALUATION_COMPLETED"
    CURRENT_NET_CHANGED = "CURRENT_NET_CHANGED"
    MODEL_PROMOTED = "MODEL_PROMOTED"
    MODEL_PROMOTION_FAILED = "MODEL_PROMOTION_FAILED"
    MODEL_ROLLED_BACK = "MODEL_ROLLED_BACK"
    REGRESSION_DETECTED = "REGRESSION_DETECTED"
    ELO_UPDATED = "ELO_UPDATED"
    CURRICULUM_REBALANCED = "CURRICULUM_REBALANCED"
    LOOP_HALTED = "LOOP_HALTED"
    LOOP_RESUMED = "LOOP_RESUMED"
    DAEMON_STARTED = "DAEMON_STARTED"
    DAEMON_STOPPED = "DAEMON_STOPPED"
    DAEMON_STATUS_CHANGED = "DAEMON_STATUS_CHANGED"
    DISK_SPACE_LOW = "DISK_SPACE_LOW"
    MEMORY_PRESSURE = "MEMORY_PRESSURE"
    CANONICAL_DAMAGED = "CANONICAL_DAMAGED"
    EVENTS_MISSED = "EVENTS_MISSED"

    # aliases: a member with the value of another is that other
    GAME_BATCH_READY = "SELFPLAY_COMPLETE"
    EVALUATION_RESULT = "EVALUATION_COMPLETED"
    PROMOTION_REJECTED = "MODEL_PROMOTION_FAILED"
    PROMOTION_FAILED = "MODEL_PROMOTION_FAILED"

    @classmethod
    def of(cls, name: str) -> "DataEventType":
        """The type of a public name, alias or dotted topic (training.completed); RulesError with the nearest names."""
        word = name[:50].replace(".", "_").upper()
        if word in cls.__members__:
            return cls.__members__[word]
        near = get_close_matches(word, cls.__members__, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "docs/reference/events.md lists them"
        raise RulesError(f"there is no event {name[:100]!r}; {hint}")


class Event(BaseModel):
    """One fact. Equal `event_id` means the same event.

    One that stems from a replicated transition has that transition's `seq`, is its `index`-th event, and is named
    after both, so every node gives it the same name. Others are named by the router that they are published in.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
    type: ClassVar[DataEventType]

    at: Annotated[float, Field(ge=0)]  # unix s
    source: Label
    seq: Positive | None = None
    index: Count = 0
    event_id: Annotated[str, Field(max_length=200)] = ""  # empty until it is published, where there is no seq

    @model_validator(mode="before")
    @classmethod
    def _named_after_seq(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("seq") is not None:
            return {**data, "event_id": f"{data['seq']}.{data.get('index', 0)}"}
        return data

    @property
    def timestamp(self) -> float:
        """When it happened, unix s."""
        return self.at

    @property
    def payload(self) -> dict[str, Any]:
        """The fields of this kind of event as JSON has them, without those that are not known."""
        return self.model_dump(mode="json", exclude=set(Event.model_fields), exclude_none=True)

    def as_json(self) -> dict[str, Any]:
        """The event as `/status` and `/events` show it."""
        return {
            "type": self.type.value,
            "timestamp": self.at,
            "source": self.source,
            "event_id": self.event_id,
            "seq": self.seq,
            "payload": self.payload,
        }


class GameEvent(Event):
    """A fact about one configuration; its board type and number of players follow from `config_key` (or `config`)."""

    config_key: GameName
    board_type: str = ""
    num_players: int = 0

    @model_validator(mode="before")
    @classmethod
    def _split_key(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if "config" in data and "config_key" not in data:
            data["config_key"] = data.pop("config")
        try:
            key = ConfigKey.parse(str(data.get("config_key")))
        except RulesError:
            return data  # the field's own check says it better
        if data.setdefault("board_type", key.board_type) != key.board_type:
            raise ValueError(f"board_type is {data['board_type']!r}, config_key says {key.board_type!r}")
        if data.setdefault("num_players", key.players) != key.players:
            raise ValueError(f"num_players is {data['num_players']!r}, config_key says {key.players}")
        return data


def refusal(name: str, error: ValidationError) -> RulesError:
    """What is wrong with an event, naming the first field that is."""
    found = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, found["loc"]))
    return RulesError(f"{name}: {f'{place}: ' if place else ''}{found['msg'].removeprefix('Value error, ')}"[:500])
