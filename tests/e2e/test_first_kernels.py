"""`ringrift warmup --first` compiles what games before the first net need, and the games need no more."""

import subprocess
import sys
from pathlib import Path

from ringrift_core.game.rules import jit
from ringrift_core.kernel_cache import FIRST_GAMES

GAMES = """
import sys
from pathlib import Path
from ringrift_core import kernel_cache
from ringrift_core.game.rules import jit
from ringrift_core.jobs.selfplay import run_selfplay
from ringrift_core.jobs.spec import SelfplaySpec

spec = SelfplaySpec(game="hex8_2p", model="heuristic", sims=2, games=2, out=Path(sys.argv[1]), seed=1)
run_selfplay(spec, lambda report: None, lambda: False)
print(*(name for name, entry in jit.ENTRIES.items() if entry.compiled.signatures))
"""


def test_games_of_the_heuristic_use_the_kernels_that_are_compiled_first(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-P", "-c", GAMES, str(tmp_path)], capture_output=True, text=True, check=True, timeout=280
    )
    first = [name for group in FIRST_GAMES for name in group]
    assert sorted(done.stdout.split()) == sorted(first if jit.COMPILED else [])
