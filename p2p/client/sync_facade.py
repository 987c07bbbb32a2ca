"""SyncFacade under the documents' name: asks a node over HTTP to bring what it lacks from the others, now."""

import asyncio
from typing import Literal

from p2p.client.attached import attached
from p2p.client.cluster_status import game_of
from p2p.client.node_http import Answer, node_http
from ringrift_core.errors import RulesError
from ringrift_core.game.config_key import ConfigKey

What = Literal["games", "models", "all"]
WHATS = ("games", "models", "all")


class SyncResult(Answer):
    """What came of it."""

    done: bool  # False: it goes on
    files: int  # that came
    nodes: tuple[str, ...]  # that were asked
    problems: tuple[str, ...]

    @property
    def success(self) -> bool:
        """Whether all that is known of is here."""
        return self.done and not self.problems


class SyncFacade:
    """Brings shards, nets and gauntlets to a node."""

    async def sync_games(self, config_key: str | None = None) -> SyncResult:
        """Shards; the node looks at those of all configurations. RulesError for a name that is none."""
        if config_key is not None:
            ConfigKey.parse(config_key)
        return await sync("games")

    async def sync_models(self, model_path: str | None = None) -> SyncResult:
        """Champions and the gauntlets behind them. RulesError for a file that is no production net."""
        if model_path is not None:
            game_of(model_path)
        return await sync("models")

    async def sync(self, what: str = "all") -> SyncResult:
        """Everything, or one of games and models."""
        return await sync(what)


async def sync(what: str = "all") -> SyncResult:
    """Ask for `games`, `models` or `all`; errors as those of any order to a node."""
    if what not in WHATS:
        raise RulesError(f"there is no {what[:20]!r} to bring; say games, models or all")
    if attached() is not None:
        raise RulesError("inside a node its services SHARD_SYNC and MODEL_SYNC do that every few seconds")
    return await asyncio.to_thread(node_http().post, "/admin/sync", SyncResult, {"what": what})
