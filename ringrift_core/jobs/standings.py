"""What the matches of a folder say of everybody's strength, as reports have it."""

from pathlib import Path

from ringrift_core.errors import RingriftError
from ringrift_core.evaluation.leaderboard import read_tally
from ringrift_core.evaluation.rating import rate
from ringrift_core.game.config_key import ConfigKey


def standings(folder: Path, key: ConfigKey) -> list[dict[str, object]]:
    """The ratings of a configuration, best first; none where a match cannot be read."""
    try:
        tally = read_tally([folder], key)
        ratings = rate(tally).ratings()
    except RingriftError:
        return []
    return [
        {
            "sha256": tally.agents[row.agent].sha256,
            "sims": tally.agents[row.agent].sims,
            "name": tally.agents[row.agent].name,
            "version": tally.agents[row.agent].version,
            "elo": round(row.elo, 2),
            "se": round(row.se, 2),
            "margin": round(row.margin, 2),
            "games": row.games,
            "wins": row.wins,
            "link": row.link.value,
        }
        for row in ratings
    ]
