"""The environment variables of RingRift, one table; nothing else in the project reads the environment."""

import os
from pathlib import Path

VARIABLES = {
    "RINGRIFT_PROMOTION_RANDOM_WIN_RATE": "share of games a candidate must win against random, above 0 and below 1",
    "RINGRIFT_PROMOTION_HEURISTIC_WIN_RATE": "the same against the heuristic",
    "RINGRIFT_PROMOTION_VS_PREVIOUS_WIN_RATE": "the same against the champion",
    "RINGRIFT_GAUNTLET_GAMES": "least games against each opponent of a gauntlet before a decision",
    "RINGRIFT_CACHE_DIR": "folder for compiled kernels (default: ringrift in the user's cache folder)",
}
RATES = {
    "random": "RINGRIFT_PROMOTION_RANDOM_WIN_RATE",
    "heuristic": "RINGRIFT_PROMOTION_HEURISTIC_WIN_RATE",
    "champion": "RINGRIFT_PROMOTION_VS_PREVIOUS_WIN_RATE",
}


class ConfigError(Exception):
    """A setting is not what it may be; the message says what to write."""


def cache_dir() -> Path:
    """Folder for what can be rebuilt at any time."""
    chosen = os.environ.get("RINGRIFT_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ringrift"


def promotion_rates() -> dict[str, float]:
    """Win rates wished for, by opponent (random, heuristic, champion), of those that are set."""
    rates = {}
    for opponent, name in RATES.items():
        if text := os.environ.get(name):
            try:
                rates[opponent] = float(text)
            except ValueError:
                rates[opponent] = -1.0
            if not 0 < rates[opponent] < 1:
                raise ConfigError(f"{name} is {text!r}; write a share above 0 and below 1, such as 0.85")
    return rates


def gauntlet_games() -> int | None:
    """Least games against each opponent of a gauntlet, None where nothing is set."""
    text = os.environ.get("RINGRIFT_GAUNTLET_GAMES")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) > 0):
        raise ConfigError(f"RINGRIFT_GAUNTLET_GAMES is {text!r}; write a number of games, such as 50")
    return int(text)


def inherited() -> dict[str, str]:
    """The whole environment, to be handed on to child processes."""
    return dict(os.environ)
