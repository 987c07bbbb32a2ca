"""Where everything stands in the two flat integer arrays that every kernel works on.

`g` (int32, one per board, never written by a kernel) is the geometry: a header of sizes and offsets, then
the tables they point at. `s` (int16, one row per game) is the state: a header, then one block per cell
field, then the pool of rings. `w` (int16) is scratch. Kernels import this module as `at`.

A seat is 1..4 and indexes the per-seat blocks directly (`s[at.HAND + seat]`). Cells are numbered in
(x, y) order, so the lowest cell of a set is the first one in the text notation too. Cell number CELLS is the
world outside: it has a code that nothing may enter, so neighbour tables need no bounds tests.
"""

# ---- geometry header: sizes ----
CELLS = 0
DIRS = 1  # ray directions
AXES = 2  # line axes
SIDES = 3  # territory neighbours per cell
RINGS_PER_PLAYER = 4
BORDER_GROWS = 5  # 1: border markers of a region spread by king steps (R145; not on hexagonal)
SYMMETRIES = 6
# ---- geometry header: offsets of tables in g ----
RAY_START = 7  # [cells * dirs + 1] first position of each ray in RAY_TO
RAY_TO = 8  # [rays] destination cell, by (from, direction, distance)
RAY_FROM = 9  # [rays]
RAY_DIR = 10  # [rays]
SIDE = 11  # [cells * sides] territory neighbours
KING = 12  # [cells * 8] king neighbours on (x, y)
AXIS_NEXT = 13  # [cells * axes]
AXIS_PREV = 14  # [cells * axes]
SYM_CELL = 15  # [symmetries * cells] image of each cell
SYM_DIR = 16  # [symmetries * dirs]
SYM_AXIS = 17  # [symmetries * axes]
# ---- geometry header: first action id of each block (PLACE begins at 0) ----
RAY_ID = 18
LINE_ALL_ID = 19
LINE_SEG_ID = 20
ELIM_ID = 21
REGION_ID = 22
SPECIAL_ID = 23
ACTIONS = 24
GEOMETRY_HEADER = 25

# ---- the eight SPECIAL ids (two are spare) ----
SKIP_PLACEMENT = 0
SKIP_CAPTURE = 1
SKIP_TERRITORY = 2
SKIP_RECOVERY = 3
SWAP_SIDES = 4
NO_ACTION = 5  # the phase says which of the no_* moves it is
SPECIALS = 8

REGION_COLOURS = 5  # border colour relative to the mover 0..3, or none
PLACE_MAX = 3  # rings per placement (R080)

# ---- state header ----
SEATS = 0
LINE_LENGTH = 1
PLAYER = 2
PHASE = 3
TURN = 4  # turns begun, from 1
PLY = 5  # plies completed
REASON = 6  # 0 while the game is active
WINNER = 7
ACTED = 8  # 1: the mover did something this turn
LINE_DUE = 9  # 1: a line payment is due
REGION_DUE = 10  # 1: a territory payment is due
RECOVERY_TURN = 11  # 1: this turn contains a recovery slide
MUST_MOVE = 12  # cell or NONE
ACTIVE = 13  # cell of the stack that may or must capture on, or NONE
PENDING = 14  # which later decision of a recovery slide is open
PENDING_FROM = 15
PENDING_TO = 16
SWAP_OPEN = 17  # 1: seat 2 may still swap
LPS_FIRST = 18  # first player of the round of R172, 0 = unset
LPS_EXCLUSIVE = 19  # exclusive player, 0 = none
LPS_COUNT = 20
RING_COUNT = 21  # rings taken from the pool so far
# per-seat blocks, indexed by seat 1..4
HAND = 21
ELIMINATED = 25
TERRITORY = 29
MARKERS = 33
STACKS = 37  # stacks controlled
RINGS = 41  # rings on the board, buried ones too
LPS_ACTION = 45  # at the seat's last turn start: 0 not seen, 1 no real action, 2 real action
OUT_TURN = 49  # turn in which the last ring was lost, NONE = never
AGENT = 53  # who plays the seat: agent 1..4
CODE = 58  # [cells + 1] what the cell is; blocks HEIGHT.. follow, see stacks.py

NONE = -1

# ---- cell codes: EMPTY, then marker, stack and collapsed by seat ----
EMPTY = 0
MARKER_LAST = 4  # marker of seat p is p
STACK = 4  # stack controlled by p is STACK + p
STACK_LAST = 8
COLLAPSED = 8  # territory of p is COLLAPSED + p
OUTSIDE = 13

# ---- phases (R070) ----
PLACEMENT = 0
MOVEMENT = 1
CAPTURE = 2
CHAIN = 3
LINES = 4
TERRITORY_PHASE = 5
FORCED = 6

# ---- open decisions of a recovery slide ----
LINE_OPTION = 1
EXTRACTION = 2

# ---- reasons for the end of a game ----
BY_RINGS = 1
BY_TERRITORY = 2
BY_LPS_ROUNDS = 3
BY_LPS_EARLY = 4
STALEMATE_TERRITORY = 5
STALEMATE_RINGS = 6
STALEMATE_MARKERS = 7
STALEMATE_LAST_ACTOR = 8

LPS_ROUNDS = 3  # consecutive exclusive rounds that win (R172)
