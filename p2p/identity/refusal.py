"""A refusal: a request that is not let through, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let through; `code` is for programs, `message` for people."""

    code: str
    status: int  # of HTTP
    message: str
    details: Mapping[str, float] = field(default_factory=dict)
