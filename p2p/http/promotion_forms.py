"""The bodies of wishes to promote and to roll back."""

from typing import Self

from pydantic import Field, model_validator

from managers.promotion_desk import ModelPath, Request
from managers.state.record import Record, Text
from p2p.http.errors import RequestError

BY_HAND = "asked for over HTTP"


class PromoteForm(Request):
    """The body of a wish to promote; a dry run needs no model."""

    model_path: ModelPath = ""
    dry_run: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.dry_run and not self.model_path:
            raise ValueError("model_path is missing")
        return self


class RollbackForm(Record):
    """The body of a wish to roll back."""

    model_id: str | None = None
    board_type: str | None = None
    num_players: int | None = None
    to_version: int | None = Field(default=None, ge=1)
    reason: Text = BY_HAND

    @property
    def game(self) -> str:
        """The configuration that is meant; RequestError when none or two are."""
        named = self.board_type is not None and self.num_players is not None
        if (self.model_id is None) != named:
            raise RequestError("say model_id, or board_type and num_players")
        return self.model_id if self.model_id is not None else f"{self.board_type}_{self.num_players}p"
