"""The fast engine against the plain twin: random games, above all from constructed positions that reach rare rules.

A duel plays one random game on both and compares player, phase, legal list and state at every ply, and the outcome at
the end. Every game has a seed of its own, a text that the failure message shows: `duel(*game_of(seed))` plays it again.
RINGRIFT_TEST_SCALE multiplies the number of games (default 1). Each theme also says which plies and endings it exists
for; a generator that no longer reaches them fails.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from ringrift_core.game import Game
from tests.property import SCALE
from tests.twin.plain_board import KING_STEPS, Cell, cell_text, text_cell
from tests.twin.plain_rules import PlainGame

PHASE_NAMES = {
    "rp": "ring_placement",
    "mv": "movement",
    "cp": "capture",
    "cc": "chain_capture",
    "lp": "line_processing",
    "tp": "territory_processing",
    "fe": "forced_elimination",
}
SMALL = [f"{board}_{n}p" for board in ("square8", "hex8") for n in (2, 3, 4)]
LARGE = [f"{board}_{n}p" for board in ("square19", "hexagonal") for n in (2, 3, 4)]


@dataclass(frozen=True, slots=True)
class Theme:
    """What a family of constructed positions looks like. Shares are parts of the board, the rest stays empty."""

    games: int  # per configuration at scale 1
    markers: float = 0.2
    collapsed: float = 0.1
    stacks: tuple[int, int] = (3, 9)  # how many, from..to
    heights: tuple[int, ...] = (1, 1, 2, 2, 3, 4)
    walls: tuple[int, int] = (0, 2)  # straight segments of one marker colour or of collapsed cells
    runs: tuple[int, int] = (0, 0)  # straight runs of the player to move
    crossings: int = 0  # empty cells that complete runs of the player to move along several axes
    edge: bool = False  # a seat stands at the brink of a win by territory
    pockets: int = 0  # empty cells where a pair of rings can be placed, but no single ring
    repeat: float = 0.35  # chance that the next ring down has the colour of the one above
    buried: float = 0.2  # chance that a seat has no controlled stack, only rings inside foreign ones
    handed: float = 0.1  # chance that a seat has no ring on the board, only a hand
    absent: float = 0.05  # chance that a seat has no ring at all
    hand: tuple[int, ...] = (0, 0, 1, 3, 9)
    balanced: bool = False  # territory, credits and markers as equal as they can be
    player: str = "full"  # which kind of seat is to move, if there is one
    shun: tuple[str, ...] = ()  # kinds of plies that are mostly left out
    plies: int = 80
    reaches: tuple[str, ...] = ()


THEMES = {
    "crowd": Theme(12, stacks=(4, 14), heights=(1, 2, 2, 3, 4, 5), reaches=("P", "SP", "M", "C", "SC", "K", "L", "EL")),
    "recovery": Theme(
        28,
        markers=0.35,
        collapsed=0.05,
        heights=(2, 3, 3, 4, 5),
        buried=0.65,
        handed=0,
        hand=(0, 0, 0, 0, 2),
        player="buried",
        plies=50,
        reaches=("RL1", "RL2", "RF", "RS", "SR", "ER"),
    ),
    "recovery in pieces": Theme(
        28,
        markers=0.3,
        collapsed=0.3,
        stacks=(3, 7),
        heights=(2, 3, 4),
        walls=(1, 4),
        runs=(0, 2),
        buried=0.6,
        hand=(0, 0, 0, 2),
        player="buried",
        plies=30,
        reaches=("RL1", "RF", "RS", "T", "ER", "ST"),
    ),
    "crossings": Theme(
        16,
        markers=0.06,
        collapsed=0.03,
        stacks=(2, 5),
        heights=(2, 3, 4),
        walls=(0, 1),
        crossings=2,
        buried=0.5,
        hand=(0,),
        player="buried",
        plies=16,
        reaches=("RL1", "RL2", "several runs"),
    ),
    "lines": Theme(
        24, markers=0.15, collapsed=0.04, stacks=(2, 6), runs=(2, 5), plies=25, reaches=("L", "O1", "O2", "EL")
    ),
    "lines of the powerless": Theme(
        12,
        markers=0.1,
        collapsed=0.04,
        stacks=(2, 5),
        heights=(2, 3, 4),
        runs=(1, 4),
        buried=0.7,
        hand=(0, 0, 2),
        player="buried",
        plies=25,
        reaches=("L", "O1", "O2"),
    ),
    "regions": Theme(
        24, markers=0.15, collapsed=0.1, stacks=(3, 8), walls=(3, 7), plies=30, reaches=("T", "ET", "ST", "NT")
    ),
    "jammed": Theme(
        16, markers=0.15, collapsed=0.6, stacks=(3, 8), heights=(1, 2, 3, 4, 6), walls=(1, 3), reaches=("F", "NM", "NP")
    ),
    "tall": Theme(12, markers=0.15, stacks=(4, 10), heights=(3, 4, 5, 6, 8, 10), hand=(0, 0, 1), reaches=("K", "F")),
    "edge": Theme(8, edge=True, walls=(0, 0), shun=("T",), plies=12, reaches=("territory",)),
    "towers": Theme(
        6, markers=0.15, stacks=(2, 5), heights=(1, 2, 9, 17, 33, 65), repeat=0.2, plies=60, reaches=("F",)
    ),
    "pockets": Theme(
        12,
        markers=0.01,
        collapsed=0.9,
        stacks=(1, 3),
        heights=(1, 2),
        walls=(0, 0),
        pockets=2,
        shun=("T", "P"),
        handed=0.6,
        hand=(0, 2, 3),
        plies=30,
        reaches=("no single ring",),
    ),
    "last player": Theme(
        16,
        markers=0.03,
        collapsed=0.12,
        stacks=(1, 4),
        heights=(2, 2, 3, 5),
        buried=0.9,
        handed=0,
        shun=("T",),
        hand=(0,),
        plies=90,
        reaches=("lps_rounds", "lps_early"),
    ),
    "ladder": Theme(
        110,
        markers=0.35,
        collapsed=0.65,
        stacks=(1, 2),
        heights=(1, 1, 1, 2),
        walls=(0, 0),
        handed=0.5,
        buried=0,
        absent=0.3,
        hand=(0, 1, 1, 2),
        balanced=True,
        plies=20,
        reaches=("stalemate_territory", "stalemate_rings", "stalemate_markers", "stalemate_last_actor"),
    ),
}


def painted(rng: Random, blank: PlainGame, theme: Theme, player: str) -> tuple[dict[Cell, str], dict[Cell, str]]:
    """Markers and collapsed cells: scattered ones, then walls, then runs of the player to move."""
    seats = blank.seats
    cells = sorted(blank.cells)
    share = rng.uniform(0.6, 1.3) if not theme.balanced else 1.0
    marker_count, collapsed_count = (int(len(cells) * part * share) for part in (theme.markers, theme.collapsed))
    if theme.balanced:
        marker_count, collapsed_count = (count - count % len(seats) for count in (marker_count, collapsed_count))
    level = theme.balanced or theme.collapsed > 0.5  # else somebody's territory wins the game at once
    weights = [1 if level else rng.choice([0, 1, 1, 3]) for _ in seats]
    weights = weights if any(weights) else [1] * len(seats)

    def owners(count: int) -> list[str]:
        if level and rng.random() < 0.8:
            return [seats[i % len(seats)] for i in range(count)]
        return rng.choices(seats, weights, k=count)

    rng.shuffle(cells)
    markers = dict(zip(cells[:marker_count], owners(marker_count), strict=True))
    rest = cells[marker_count : marker_count + collapsed_count]
    collapsed = dict(zip(rest, owners(len(rest)), strict=True))
    if theme.edge:
        held = len(cells) // len(seats) + 1 + rng.choice([-2, -1, 0, 0])
        others = rng.choice([0, held - 2, held - 1, held])
        leader, *following = rng.sample(seats, len(seats))
        lots = [leader] * held + [rng.choice(following) for _ in range(others)]
        collapsed = dict(zip(cells[marker_count:], lots, strict=False))
    for kind, count in (("wall", rng.randint(*theme.walls)), ("run", rng.randint(*theme.runs))):
        for _ in range(count):
            start, step = rng.choice(cells), rng.choice(blank.rays)
            path = [start, *blank.ray(start, step)][: rng.randint(3, 8)]
            owner = player if kind == "run" else rng.choice(seats)
            solid = kind == "wall" and rng.random() < 0.4
            for cell in path:
                markers.pop(cell, None)
                collapsed.pop(cell, None)
                (collapsed if solid else markers)[cell] = owner
    return markers, collapsed


def crossed(rng: Random, blank: PlainGame, player: str) -> tuple[Cell, set[Cell]]:
    """An empty cell and markers around it, such that a marker slid there completes runs along two or three axes."""
    centre = rng.choice(sorted(blank.cells))
    arms: set[Cell] = set()
    for axis in rng.sample(blank.axes, rng.choice([2, 2, 3])):
        arm = rng.randint(0, blank.line_length)
        other = max(blank.line_length - 1 - arm, 0) + rng.choice([0, 0, 1, 2])
        arms.update([*blank.ray(centre, axis)][:arm], [*blank.ray(centre, (-axis[0], -axis[1]))][:other])
    arms.add(rng.choice(sorted(blank.around(centre, blank.rays))))
    return centre, arms


def pocketed(rng: Random, blank: PlainGame, owner: str) -> dict[Cell, str]:
    """An empty cell ("") shut in by collapsed cells ("x") and one pair of rings with markers ("m") behind."""
    centre, step = rng.choice(sorted(blank.cells)), rng.choice(blank.rays)
    pocket = dict.fromkeys(blank.around(centre, blank.rays), "x") | {centre: ""}
    for distance, cell in enumerate(blank.ray(centre, step)):
        pocket[cell] = "m" if distance else owner * 2
        if distance > 3:
            break
    return pocket


def roles_of(rng: Random, seats: list[str], theme: Theme) -> dict[str, str]:
    """full: controls stacks; buried: only rings inside; handed: only a hand; absent: no ring anywhere."""
    roles = {}
    for seat in seats:
        lot = rng.random()
        for role, chance in (("buried", theme.buried), ("handed", theme.handed), ("absent", theme.absent)):
            if lot < chance:
                roles[seat] = role
                break
            lot -= chance
        else:
            roles[seat] = "full"
    if "full" not in roles.values():
        roles[rng.choice(seats)] = "full"
    return roles


def stacked(rng: Random, theme: Theme, roles: dict[str, str], free: list[Cell], supply: int) -> dict[Cell, str]:
    """Stacks with full seats on top and full and buried seats below, never more rings of a colour than there are."""
    stacks: dict[Cell, str] = {}
    left = {seat: supply for seat, role in roles.items() if role in {"full", "buried"}}
    for cell in free[: rng.randint(*theme.stacks)]:
        tops = [seat for seat in left if roles[seat] == "full" and left[seat] > 0]
        if not tops:
            break
        rings = rng.choice(tops)
        left[rings] -= 1
        for _ in range(rng.choice(theme.heights) - 1):
            repeat = rings[0] if rng.random() < theme.repeat else None
            below = [seat for seat in left if left[seat] > 0]
            thirsty = [seat for seat in below if roles[seat] == "buried" and left[seat] == supply]
            seat = repeat if repeat in below else rng.choice(thirsty or below or [""])
            if seat:
                rings = seat + rings
                left[seat] -= 1
        stacks[cell] = rings
    return stacks


def laid_out(
    rng: Random, blank: PlainGame, theme: Theme, roles: dict[str, str], player: str
) -> tuple[dict[Cell, str], dict[Cell, str], dict[Cell, str]]:
    """Markers, collapsed cells and stacks of a position, no cell twice."""
    markers, collapsed = painted(rng, blank, theme, player)
    empty: set[Cell] = set()
    for _ in range(theme.crossings):
        centre, arms = crossed(rng, blank, player)
        empty.add(centre)
        markers.update(dict.fromkeys(arms, player))
    pockets: dict[Cell, str] = {}
    full = [seat for seat, role in roles.items() if role == "full"]
    for _ in range(theme.pockets):
        pockets.update(pocketed(rng, blank, rng.choice(full)))
    markers.update({cell: player for cell, what in pockets.items() if what == "m"})
    collapsed.update({cell: rng.choice(blank.seats) for cell, what in pockets.items() if what == "x"})
    empty.update(cell for cell, what in pockets.items() if what not in {"m", "x"})
    markers = {cell: seat for cell, seat in markers.items() if cell not in empty and pockets.get(cell) != "x"}
    collapsed = {cell: seat for cell, seat in collapsed.items() if cell not in markers and cell not in empty}
    free = sorted(blank.cells - set(markers) - set(collapsed) - empty)
    if len(free) < theme.stacks[0]:
        spare = [cell for cell in rng.sample(sorted(blank.cells), theme.stacks[1]) if cell not in pockets]
        free = sorted({*free, *spare})
        for cell in spare:
            markers.pop(cell, None)
            collapsed.pop(cell, None)
    rng.shuffle(free)
    stacks = stacked(rng, theme, roles, free, blank.rings - 2 * theme.pockets)
    stacks.update({cell: what for cell, what in pockets.items() if what not in {"", "m", "x"}})
    return markers, collapsed, stacks


def credited(rng: Random, blank: PlainGame, hand: dict[str, int], placed: int) -> list[int]:
    """Credits for all rings that are nowhere else, at random, below the threshold of a win where that can be."""
    n, supply = len(blank.seats), blank.rings
    limit = supply * (n + 1) // 3 - 1
    shares = [0] * n
    for _ in range(n * supply - placed - sum(hand.values())):
        open_seats = [seat for seat in range(n) if shares[seat] < limit] or list(range(n))
        shares[rng.choice(open_seats)] += 1
    return shares


def balanced_credits(blank: PlainGame, hand: dict[str, int], placed: int, player: str) -> list[int]:
    """Credits such that all seats are level, hands counted, once the player has eliminated all rings on the board."""
    return [blank.rings - hand[seat] - (placed if seat == player else 0) for seat in blank.seats]


def constructed(rng: Random, key: str, theme: Theme) -> dict[str, Any]:
    """A position of a theme that keeps the ring supply; the player to move owns a ring."""
    board_type, players = key.split("_")
    blank = PlainGame(board_type, int(players[0]))
    roles = roles_of(rng, blank.seats, theme)
    wanted = [seat for seat in blank.seats if roles[seat] == theme.player]
    player = rng.choice(wanted or [seat for seat in blank.seats if roles[seat] == "full"])
    markers, collapsed, stacks = laid_out(rng, blank, theme, roles, player)
    placed = {seat: sum(rings.count(seat) for rings in stacks.values()) for seat in blank.seats}
    hand = dict.fromkeys(blank.seats, 0)
    for seat, role in roles.items():
        wish = rng.choice(theme.hand) or (role == "handed")
        hand[seat] = 0 if role == "absent" else min(blank.rings - placed[seat], int(wish))
    if not placed[player] and not hand[player]:
        hand[player] = 1
    credit = credited(rng, blank, hand, sum(placed.values()))
    if theme.balanced and rng.random() < 0.7:
        level = balanced_credits(blank, hand, sum(placed.values()), player)
        credit = level if min(level) >= 0 else credit
    return {
        "s": {cell_text(cell): rings for cell, rings in stacks.items()},
        "m": {cell_text(cell): int(seat) for cell, seat in markers.items()},
        "c": {cell_text(cell): int(seat) for cell, seat in collapsed.items()},
        "h": [hand[seat] for seat in blank.seats],
        "e": credit,
        "t": [list(collapsed.values()).count(seat) for seat in blank.seats],
        "p": int(player),
        "f": "rp",
    }


def choice(rng: Random, plies: list[str], shun: tuple[str, ...]) -> str:
    """A uniform ply, or a uniform ply of a uniform kind, so that rare kinds come up; seldom one of a shunned kind."""
    if rng.random() < 0.9:
        plies = [ply for ply in plies if ply.split()[0] not in shun] or plies
    if rng.random() < 0.5:
        return rng.choice(plies)
    kind = rng.choice(sorted({ply.split()[0] for ply in plies}))
    return rng.choice([ply for ply in plies if ply.split()[0] == kind])


def outcomes(fast: Game, plain: PlainGame) -> tuple[list[Any], list[Any]]:
    """The end of a game as each of the two sees it."""
    assert plain.end is not None
    assert fast.outcome is not None
    seen, score = fast.outcome, plain.end["sc"]
    return (
        [seen.reason, seen.winner, seen.ranks, seen.territory, seen.eliminated, seen.markers, seen.out_turns],
        [plain.end["r"], plain.end["w"], plain.end["rk"], score["t"], score["e"], score["m"], score["x"]],
    )


def situations(plain: PlainGame, text: str) -> set[str]:
    """Names of rare situations that a legal ply shows, to be counted before it is played."""
    found = set()
    if text.startswith("RL1"):
        slide = text.split()[1].split(">")
        runs = plain.recovery_runs(plain.me, text_cell(slide[0]), text_cell(slide[1]))
        if len(runs) > 1:
            found.add("several runs")
        if len(runs[0]) < max(map(len, runs)):
            found.add("first run is not the longest")
    if text.startswith("P ") and not plain.has_real_action(plain.me):
        found.add("no single ring")
    return found


def duel(seed: str, fast: Game, plain: PlainGame, plies: int, shun: tuple[str, ...] = ()) -> Counter[str]:
    """Play both with the same random plies; count the kinds of plies and the ending."""
    rng = Random(f"{seed} plies")
    seen: Counter[str] = Counter(plies=0)
    where = f"seed {seed!r}: start"
    for ply in range(plies + 1):
        assert fast.over == (plain.end is not None), f"{where}: over {fast.over}, twin {plain.end}"
        assert fast.state() == plain.state(), f"{where}: states differ"
        if plain.end is not None or ply == plies:
            break
        seat_and_phase = (plain.player, PHASE_NAMES[plain.phase])
        assert (fast.player, fast.phase) == seat_and_phase, f"{where}: who moves differs"
        legal = plain.legal()
        assert fast.legal_plies() == legal, f"{where}: legal lists differ in {plain.phase}"
        text = choice(rng, legal, shun)
        where = f"seed {seed!r}: ply {ply} {text!r}"
        seen.update([text.split()[0], "plies", *situations(plain, text)])
        fast.play(text)
        plain.play(text)
    if plain.end is not None:
        mine, twins = outcomes(fast, plain)
        assert mine == twins, f"{where}: outcomes differ"
        seen[plain.end["r"]] += 1
    return seen


def game_of(seed: str, twin: type[PlainGame] = PlainGame) -> tuple[str, Game, PlainGame, int, tuple[str, ...]]:
    """What `duel` needs for a seed "theme/config key/number"."""
    name, key, _ = seed.split("/")
    board_type, players = key.split("_")
    n = int(players[0])
    if name == "start":
        swap = n == 2
        return seed, Game.start(key, swap=swap), twin(board_type, n, swap=swap), 900 if key in SMALL else 40, ()
    theme = THEMES[name]
    position = constructed(Random(seed), key, theme)
    return seed, Game.from_state(key, position), twin(board_type, n, init=position), theme.plies, theme.shun


def duels(name: str, keys: list[str], games: int) -> Counter[str]:
    """So many games for every config key."""
    seen: Counter[str] = Counter()
    for key in keys:
        for number in range(games * SCALE):
            seen += duel(*game_of(f"{name}/{key}/{number}"))
    return seen


@pytest.mark.parametrize("key", SMALL)
def test_whole_games_on_small_boards(key: str) -> None:
    seen = duels("start", [key], 3)
    assert seen["plies"] > 200 * SCALE


def test_first_plies_on_large_boards() -> None:
    assert duels("start", LARGE, 1)["P"]


@pytest.mark.parametrize("name", THEMES)
def test_constructed_positions_on_small_boards(name: str) -> None:
    seen = duels(name, SMALL, THEMES[name].games)
    assert not [what for what in THEMES[name].reaches if not seen[what]], seen


@pytest.mark.parametrize(
    ("name", "games"),
    [("crowd", 1), ("lines", 1), ("regions", 1), ("recovery", 1), ("jammed", 1), ("towers", 1), ("edge", 4)],
)
def test_constructed_positions_on_large_boards(name: str, games: int) -> None:
    assert duels(name, LARGE, games)["plies"]


class Forgetful(PlainGame):
    """A twin with one planted error: no border marker beyond the nearest ones collapses with a region."""

    def border(self, region: set[Cell]) -> set[Cell]:
        near = {cell for inner in region for cell in self.around(inner, KING_STEPS)}
        return super().border(region) & near


def test_a_planted_error_is_found() -> None:
    def search() -> None:
        for number in range(40):
            duel(*game_of(f"regions/square8_3p/{number}", Forgetful))

    with pytest.raises(AssertionError, match="states differ"):
        search()
