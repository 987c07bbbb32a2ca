"""RingRift from the rules text alone, no speed: plies, turns, victory. An oracle for the fast engine.

Nothing of ringrift_core is imported or imitated; the board and its conventions are in plain_board.py. Section numbers
are those of RULES.md ("the rules that the engine implements"), Rxxx those of the canonical specification. Ply texts,
states and ends have the form of the recorded games (parity/README.md).
"""

from collections.abc import Iterable

from tests.twin.plain_board import Cell, PlainBoard, State, cap_height, cell_text, cells_text, text_cell

LPS_ROUNDS = 3  # exclusive rounds that win by last player standing (R172)


def unique_leader(values: list[int]) -> int | None:
    """Seat number of the only greatest value, or None."""
    best = max(values)
    return values.index(best) + 1 if values.count(best) == 1 else None


class PlainGame(PlainBoard):
    """One game; `legal()` lists the plies, `play()` makes one, `state()` is the position, `end` the result."""

    def __init__(self, board_type: str, players: int, *, swap: bool = False, init: State | None = None) -> None:
        """Start from the empty board, or from `init` (a state with `p`, player to move; the phase is always rp)."""
        super().__init__(board_type, players, init)
        self.me = str(init["p"]) if init else "1"
        self.phase = "rp"
        self.swap_offer = swap and players == 2
        self.listed: list[str] | None = None  # legal plies, once somebody asked
        self.plies = 0
        self.turns = 0
        self.lost_last_ring: dict[str, int | None] = dict.fromkeys(self.seats)  # turn of permanent elimination
        self.end: State | None = None

        self.must_move: Cell | None = None
        self.mover: Cell | None = None  # the stack that just moved (cp) or is in the middle of a chain (cc)
        self.acted = False
        self.recovered = False
        self.line_payment = False
        self.land_payment = False

        self.round_first: str | None = None
        self.round_map: dict[str, bool] = {}
        self.exclusive: str | None = None
        self.exclusive_rounds = 0

        self._note_lost_seats()
        self._start_turn()

    @property
    def player(self) -> int:
        """Seat number to move."""
        return int(self.me)

    def state(self) -> State:
        """The position in the form of the recordings."""
        shown: State = {
            "s": {cell_text(cell): rings for cell, rings in self.stacks.items()},
            "m": {cell_text(cell): int(owner) for cell, owner in self.markers.items()},
            "c": {cell_text(cell): int(owner) for cell, owner in self.collapsed.items()},
            "h": [self.hand[seat] for seat in self.seats],
            "e": [self.eliminated[seat] for seat in self.seats],
            "t": [self.territory(seat) for seat in self.seats],
        }
        if self.line_payment:
            shown["le"] = 1
        if self.must_move is not None:
            shown["mm"] = cell_text(self.must_move)
        if self.phase == "cc" and self.mover is not None:
            shown["cc"] = cell_text(self.mover)
        if self.recovered:
            shown["rt"] = 1
        if self.exclusive_rounds > 0 and self.exclusive is not None:
            shown["lp"] = [self.exclusive_rounds, int(self.exclusive)]
        return shown

    def legal(self) -> list[str]:
        """All legal plies, sorted by code point; empty once the game has ended."""
        if self.end is not None:
            return []
        if self.listed is not None:
            return list(self.listed)
        listers = {
            "rp": self._placement_plies,
            "mv": self._movement_plies,
            "cp": self._capture_plies,
            "cc": self._chain_plies,
            "lp": self._line_plies,
            "tp": self._territory_plies,
            "fe": self._forced_plies,
        }
        self.listed = sorted(listers[self.phase]())
        return list(self.listed)

    def play(self, text: str) -> None:
        """Make one legal ply; ValueError when it is not legal."""
        if text not in self.legal():
            raise ValueError(f"illegal in {self.phase}: {text}")
        self.listed = None
        self.plies += 1
        kind, _, rest = text.partition(" ")
        if kind not in {"SP", "NP", "SC", "NM", "SR", "NL", "ST", "NT"}:
            self.acted = True
        makers = {
            "P": self._play_place,
            "SP": self._play_no_place,
            "NP": self._play_no_place,
            "SW": self._play_swap,
            "M": self._play_move,
            "C": self._play_capture,
            "K": self._play_capture,
            "SC": self._to_lines,
            "NM": self._to_lines,
            "SR": self._to_lines,
            "RL1": self._play_recovery_line,
            "RL2": self._play_recovery_window,
            "RF": self._play_recovery_slide,
            "RS": self._play_recovery_strike,
            "L": self._play_line,
            "O1": self._play_line,
            "O2": self._play_window,
            "EL": self._play_line_payment,
            "NL": self._play_no_line,
            "T": self._play_region,
            "ET": self._play_cap_payment,
            "ER": self._play_extraction,
            "ST": self._leave_territory,
            "NT": self._leave_territory,
            "F": self._play_forced,
        }
        makers[kind](rest)
        self._note_lost_seats()
        if self.end is not None:
            self._rank()

    # ---- legal plies ----

    def _placement_plies(self) -> list[str]:
        """Section 3; SW by section 12."""
        plies = [
            f"P {cell_text(cell)} {count}"
            for cell in self.cells
            for count in (1, 2, 3)
            if self.can_place(self.me, cell, count)
        ]
        mobile = any(self.mobile(self.stacks, cell) for cell in self.controlled(self.me))
        if self.hand[self.me] > 0 and (mobile or self.recovery_eligible(self.me)):
            plies.append("SP")
        if self.me == "2" and self.swap_offer:
            plies.append("SW")
        return plies or ["NP"]

    def _movement_plies(self) -> list[str]:
        """Sections 4, 5 and 8."""
        plies = []
        movers = self.controlled(self.me) if self.must_move is None else [self.must_move]
        for start in movers:
            plies += [f"M {cell_text(start)}>{cell_text(landing)}" for landing in self.landings(self.stacks, start)]
            plies += self._segments("C", start)
        if self.recovery_eligible(self.me):
            plies += [*self._recovery_plies(), "SR"]
        return plies or ["NM"]

    def _segments(self, kind: str, start: Cell) -> list[str]:
        return [
            f"{kind} {cell_text(start)}*{cell_text(target)}>{cell_text(landing)}"
            for target, landing in self.captures(self.stacks, start)
        ]

    def _capture_plies(self) -> list[str]:
        """Only the stack that just moved may capture, or decline (section 5)."""
        assert self.mover is not None
        return [*self._segments("C", self.mover), "SC"]

    def _chain_plies(self) -> list[str]:
        """A chain goes on while it can (section 5, R103)."""
        assert self.mover is not None
        return self._segments("K", self.mover)

    def _recovery_plies(self) -> list[str]:
        """Line slides; without any, fallback slides and strikes (section 8, R111-R114)."""
        payers = [cell_text(cell) for cell in self.buried_cells(self.me)]
        lines, others = [], []
        for start in [cell for cell, owner in self.markers.items() if owner == self.me]:
            for landing in self.around(start, self.rays):
                slide = f"{cell_text(start)}>{cell_text(landing)}"
                if landing in self.stacks:
                    others += [f"RS {slide} @{payer}" for payer in payers]
                elif landing not in self.markers and landing not in self.collapsed:
                    others += [f"RF {slide} @{payer}" for payer in payers]
                    runs = self.recovery_runs(self.me, start, landing)
                    if runs:
                        lines += [f"RL1 {slide} @{payer}" for payer in payers]
                        longest = max(runs, key=len)  # of equal ones the first
                        if len(longest) > self.line_length:
                            windows = [window for window in self.windows(longest) if landing in window]
                            lines += [f"RL2 {slide} {cells_text(window)}" for window in windows]
        return lines or others

    def _line_plies(self) -> list[str]:
        """Section 6, R121-R123."""
        if self.line_payment:
            return [f"EL {cell_text(cell)}" for cell in self.controlled(self.me)]
        plies = []
        for run in self.lines(self.me):
            if len(run) == self.line_length:
                plies.append(f"L {cells_text(run)}")
            else:
                plies.append(f"O1 {cells_text(run)}")
                plies += [f"O2 {cells_text(window)}" for window in self.windows(list(run))]
        return plies or ["NL"]

    def _territory_plies(self) -> list[str]:
        """Section 7."""
        if self.land_payment:
            if self.recovered:
                return [f"ER {cell_text(cell)}" for cell in self.buried_cells(self.me)]
            return [f"ET {cell_text(cell)}" for cell in self.controlled(self.me)]
        plies = [f"T {cells_text(region)}" for region in self.regions(self.me, by_extraction=self.recovered)]
        return [*plies, "ST"] if plies else ["NT"]

    def _forced_plies(self) -> list[str]:
        """Section 9, R100."""
        return [f"F {cell_text(cell)}" for cell in self.controlled(self.me)]

    # ---- effects: placement, movement, capture ----

    def _play_place(self, rest: str) -> None:
        place, count = rest.split()
        cell = text_cell(place)
        self.stacks[cell] = self.stacks.get(cell, "") + self.me * int(count)
        self.hand[self.me] -= int(count)
        self.must_move = cell
        self.phase = "mv"

    def _play_no_place(self, _rest: str) -> None:
        self.phase = "mv"

    def _play_swap(self, _rest: str) -> None:
        """Section 12: nothing on the board changes, the offer is gone."""
        self.swap_offer = False

    def _collapse(self, cells: Iterable[Cell]) -> None:
        for cell in cells:
            self.markers.pop(cell, None)
            self.collapsed[cell] = self.me

    def _set_stack(self, cell: Cell, rings: str) -> None:
        """Put `rings` on a cell; no ring is no stack."""
        self.stacks.pop(cell, None)
        if rings:
            self.stacks[cell] = rings

    def _lose_top(self, cell: Cell, count: int) -> None:
        """Eliminate the top `count` rings of a stack, credited to the player (R060)."""
        self._set_stack(cell, self.stacks[cell][:-count])
        self.eliminated[self.me] += count

    def _lose_lowest(self, cell: Cell) -> None:
        """Extraction: eliminate the lowest ring of the player in a stack (section 8, R113)."""
        self._set_stack(cell, self.stacks[cell].replace(self.me, "", 1))
        self.eliminated[self.me] += 1

    def _travel(self, start: Cell, landing: Cell, rings: str) -> None:
        """Marker behind, markers on the way flipped or collapsed, landing on a marker costs the top ring (R092)."""
        del self.stacks[start]
        self.markers[start] = self.me
        for cell in self.between(start, landing):
            if self.markers.get(cell) == self.me:
                self._collapse([cell])
            elif cell in self.markers:
                self.markers[cell] = self.me
        self.stacks[landing] = rings
        if self.markers.pop(landing, None) is not None:
            self._lose_top(landing, 1)

    def _can_capture_from(self, cell: Cell) -> bool:
        """Whether the player still controls the stack there and it has a capture."""
        return cell in self.controlled(self.me) and any(True for _ in self.captures(self.stacks, cell))

    def _follow(self, landing: Cell, phase: str) -> None:
        """After a move or a segment: `phase` if the stack can capture from there, else line_processing."""
        if not self._can_capture_from(landing):
            self.must_move = None
            self._to_lines("")
            return
        self.phase = phase
        self.mover = landing
        if self.must_move is not None:
            self.must_move = landing

    def _play_move(self, rest: str) -> None:
        start, landing = (text_cell(part) for part in rest.split(">"))
        self._travel(start, landing, self.stacks[start])
        self._follow(landing, "cp")

    def _play_capture(self, rest: str) -> None:
        """Section 5, R102: the target's top ring goes below the attacker."""
        start, _, flight = rest.partition("*")
        target, landing = (text_cell(part) for part in flight.split(">"))
        ring = self.stacks[target][-1]
        self._set_stack(target, self.stacks[target][:-1])
        self._travel(text_cell(start), landing, ring + self.stacks[text_cell(start)])
        self._follow(landing, "cc")

    # ---- effects: recovery ----

    def _play_recovery_line(self, rest: str) -> None:
        """Option 1: the first run that is long enough collapses, one ring is extracted (section 8)."""
        slide, payer = rest.split(" @")
        start, landing = (text_cell(part) for part in slide.split(">"))
        run = self.recovery_runs(self.me, start, landing)[0]
        del self.markers[start]
        self._collapse(run)
        self._lose_lowest(text_cell(payer))
        self._after_recovery()

    def _play_recovery_window(self, rest: str) -> None:
        """Option 2: the window collapses, free."""
        slide, *window = rest.split()
        start, landing = (text_cell(part) for part in slide.split(">"))
        del self.markers[start]
        self.markers[landing] = self.me
        self._collapse(text_cell(cell) for cell in window)
        self._after_recovery()

    def _play_recovery_slide(self, rest: str) -> None:
        slide, payer = rest.split(" @")
        start, landing = (text_cell(part) for part in slide.split(">"))
        del self.markers[start]
        self.markers[landing] = self.me
        self._lose_lowest(text_cell(payer))
        self._after_recovery()

    def _play_recovery_strike(self, rest: str) -> None:
        slide, payer = rest.split(" @")
        start, struck = (text_cell(part) for part in slide.split(">"))
        del self.markers[start]
        self._lose_top(struck, 1)
        self._lose_lowest(text_cell(payer))
        self._after_recovery()

    def _after_recovery(self) -> None:
        self.recovered = True
        self._to_lines("")

    # ---- effects: lines, territory, forced elimination ----

    def _to_lines(self, _rest: str) -> None:
        self.phase = "lp"
        self.mover = None

    def _to_territory(self) -> None:
        self.phase = "tp"
        self.must_move = None

    def _play_line(self, rest: str) -> None:
        """A whole run collapses; a ring is due if the player controls a stack (R122)."""
        self._collapse(text_cell(cell) for cell in rest.split())
        if self.controlled(self.me):
            self.line_payment = True
        elif not self.lines(self.me):
            self._to_territory()

    def _play_window(self, rest: str) -> None:
        self._collapse(text_cell(cell) for cell in rest.split())
        if not self.lines(self.me):
            self._to_territory()

    def _play_line_payment(self, rest: str) -> None:
        self._lose_top(text_cell(rest), 1)
        self.line_payment = False

    def _play_no_line(self, _rest: str) -> None:
        if not self.acted and self.controlled(self.me) and not self.regions(self.me, by_extraction=self.recovered):
            self.phase = "fe"
            self.must_move = None
        else:
            self._to_territory()

    def _play_region(self, rest: str) -> None:
        region = {text_cell(cell) for cell in rest.split()}
        border = self.border(region)
        for cell in region & set(self.stacks):
            self._lose_top(cell, len(self.stacks[cell]))
        self._collapse(region | border)
        self.land_payment = True

    def _play_cap_payment(self, rest: str) -> None:
        cell = text_cell(rest)
        self._lose_top(cell, cap_height(self.stacks[cell]))
        self._after_land_payment()

    def _play_extraction(self, rest: str) -> None:
        self._lose_lowest(text_cell(rest))
        self._after_land_payment()

    def _after_land_payment(self) -> None:
        self.land_payment = False
        if not self.regions(self.me, by_extraction=self.recovered):
            self._end_turn()

    def _leave_territory(self, _rest: str) -> None:
        if not self.acted and self.controlled(self.me):
            self.phase = "fe"
        else:
            self._end_turn()

    def _play_forced(self, rest: str) -> None:
        cell = text_cell(rest)
        self._lose_top(cell, cap_height(self.stacks[cell]))
        self._end_turn()

    # ---- turns, victory, ranking ----

    def _note_lost_seats(self) -> None:
        """Stamp the seats that own no ring any more with the number of this turn."""
        for seat in self.seats:
            if self.lost_last_ring[seat] is None and not self.owns_ring(seat):
                self.lost_last_ring[seat] = self.turns

    def _end_turn(self) -> None:
        """Victory tests, else the next seat that owns a ring (sections 2 and 11)."""
        self._note_lost_seats()
        self.must_move = None
        self._test_victory()
        if self.end is not None:
            return
        self.recovered = False
        if self.me == "2":
            self.swap_offer = False
        me = self.seats.index(self.me)
        following = self.seats[me + 1 :] + self.seats[: me + 1]
        self.me = next(seat for seat in following if self.owns_ring(seat))
        self._start_turn()

    def _start_turn(self) -> None:
        self.phase = "rp"
        self.acted = False
        self.turns += 1
        self._track_rounds()

    def _track_rounds(self) -> None:
        """Last player standing by rounds, at the start of a turn (section 10, R172)."""
        alive = [seat for seat in self.seats if self.owns_ring(seat)]
        if self.round_first not in alive:
            self.round_first = self.me
            self.round_map = {}
            if self.exclusive not in alive:
                self.exclusive, self.exclusive_rounds = None, 0
        elif self.me == self.round_first and self.round_map:
            active = [seat for seat in alive if self.round_map.get(seat)]
            if len(active) != 1:
                self.exclusive, self.exclusive_rounds = None, 0
            elif active[0] == self.exclusive:
                self.exclusive_rounds += 1
            else:
                self.exclusive, self.exclusive_rounds = active[0], 1
            self.round_map = {}
        self.round_map[self.me] = self.has_real_action(self.me)
        if self.exclusive_rounds >= LPS_ROUNDS and self.exclusive == self.me and self.round_map[self.me]:
            others = [seat for seat in alive if seat != self.me]
            if not any(self.has_real_action(seat) for seat in others):
                self._finish("lps_rounds", self.me)

    def _test_victory(self) -> None:
        """Section 11, steps 1 to 5 (R170-R173)."""
        n = len(self.seats)
        threshold = round(self.rings * (2 / 3 + (n - 1) / 3))
        minimum = len(self.cells) // n + 1
        for seat in self.seats:
            if self.eliminated[seat] >= threshold:
                return self._finish("ring", seat)
        for seat in self.seats:
            others = sum(self.territory(other) for other in self.seats if other != seat)
            if self.territory(seat) >= minimum and self.territory(seat) > others:
                return self._finish("territory", seat)
        controllers = {rings[-1] for rings in self.stacks.values()}
        alive = {seat for seat in self.seats if self.owns_ring(seat)}
        if len(controllers) == 1 and alive == controllers:
            return self._finish("lps_early", controllers.pop())
        if self.stacks or any(self.can_place(seat, cell, 1) for seat in self.seats for cell in self.cells):
            return None
        return self._stalemate()

    def _stalemate(self) -> None:
        """The first rung with a unique leader among all players (R173)."""
        territory = [self.territory(seat) for seat in self.seats]
        rings = [self.eliminated[seat] + self.hand[seat] for seat in self.seats]
        markers = [self.marker_count(seat) for seat in self.seats]
        if max(territory) > 0 and unique_leader(territory):
            self._finish("stalemate_territory", str(unique_leader(territory)))
        elif unique_leader(rings):
            self._finish("stalemate_rings", str(unique_leader(rings)))
        elif max(markers) > 0 and unique_leader(markers):
            self._finish("stalemate_markers", str(unique_leader(markers)))
        else:
            self._finish("stalemate_last_actor", self.me)

    def _finish(self, reason: str, winner: str) -> None:
        self.end = {"r": reason, "w": int(winner)}

    def _rank(self) -> None:
        """Ranks and the values behind them (section 11, R175-R178)."""
        assert self.end is not None
        with_hands = self.end["r"].startswith("stalemate")
        rings = {seat: self.eliminated[seat] + (self.hand[seat] if with_hands else 0) for seat in self.seats}

        def merit(seat: str) -> tuple[bool, int, int, int, float]:
            lost = self.lost_last_ring[seat]
            first = int(seat) == self.end["w"] if self.end else False
            end_turn = float("inf") if lost is None else lost
            return first, self.territory(seat), rings[seat], self.marker_count(seat), end_turn

        self.end["rk"] = [1 + sum(merit(other) > merit(seat) for other in self.seats) for seat in self.seats]
        self.end["sc"] = {
            "t": [self.territory(seat) for seat in self.seats],
            "e": [rings[seat] for seat in self.seats],
            "m": [self.marker_count(seat) for seat in self.seats],
            "x": [self.lost_last_ring[seat] for seat in self.seats],
        }
