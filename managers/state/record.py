"""What every record of the replicated state is: frozen, checked, with nothing unknown in it."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey

TEXT_MAX = 1000  # characters of a reason; a state that everybody holds is no place for tracebacks


class Record(BaseModel):
    """A part of the state or of a command."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Refused(Exception):  # noqa: N818 - the answer to a command, not a fault
    """A command that the state does not allow; the reason is its only argument."""


def known_game(value: str) -> str:
    """A config key, or a ValueError: pydantic makes one error of all that is wrong with a record from those alone."""
    try:
        ConfigKey.parse(value)
    except RulesError as error:
        raise ValueError(str(error)) from None
    return value


def shortened(text: str) -> str:
    """A text that fits."""
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"


Game = Annotated[str, AfterValidator(known_game)]  # config key
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
ClusterId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]  # 128 random bits
PublicKey = Annotated[  # Ed25519: 32 bytes as base64url without padding; "": none is known
    str, Field(pattern="^([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])?$")
]
Address = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}$")]  # HOST:PORT
Stem = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]  # of a stored match or gauntlet
Name = Annotated[str, Field(min_length=1, max_length=200)]  # of a node, a client, a role, a job
Text = Annotated[str, AfterValidator(shortened)]
Count = Annotated[int, Field(ge=0, lt=1 << 62)]
Time = Annotated[float, Field(ge=0, lt=1e12)]  # unix seconds, by the proposer's clock
Elo = Annotated[float, Field(ge=-1e5, le=1e5)]
