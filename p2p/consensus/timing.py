"""How long a voter waits for what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RaftTiming:
    """Seconds; `LAN` and `WAN` are the two that are used."""

    period_s: float = 0.1  # between a leader's signs of life
    timeout_min_s: float = 0.6  # without one, until a follower asks for votes
    timeout_max_s: float = 1.2
    fallback_s: float = 1.5  # without answers of a majority, until a leader stops leading


LAN = RaftTiming()
WAN = RaftTiming(period_s=0.25, timeout_min_s=1.5, timeout_max_s=3.0, fallback_s=3.0)
