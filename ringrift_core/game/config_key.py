"""The config key: board type and number of players, `hex8_2p`."""

from dataclasses import dataclass

from ringrift_core.errors import RulesError
from ringrift_core.game.geometry import BOARD_TYPES, PLAYER_COUNTS


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One of the twelve configurations; `str()` gives the key."""

    board_type: str
    players: int

    def __post_init__(self) -> None:
        if self.board_type not in BOARD_TYPES:
            raise RulesError(f"there is no board type {self.board_type!r}; choose one of {', '.join(BOARD_TYPES)}")
        if self.players not in PLAYER_COUNTS:
            raise RulesError(f"RingRift has 2, 3 or 4 players, not {self.players}")

    @staticmethod
    def parse(text: str) -> "ConfigKey":
        """Read a key such as hex8_2p; RulesError with the possible ones otherwise."""
        for key in CONFIG_KEYS:
            if text == str(key):
                return key
        raise RulesError(f"there is no game {text!r}; choose one of {', '.join(map(str, CONFIG_KEYS))}")

    def __str__(self) -> str:
        return f"{self.board_type}_{self.players}p"


CONFIG_KEYS = tuple(ConfigKey(board, players) for board in BOARD_TYPES for players in PLAYER_COUNTS)
