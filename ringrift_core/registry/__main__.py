"""`python -m ringrift_core.registry MODELS FILE GAME TIME`: admit a net to the registry; prints it as one JSON object.

Exit code 2 with one line on standard error when the file is no net of this game.
"""

import sys
from datetime import datetime
from pathlib import Path

from ringrift_core.errors import RingriftError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.admission import admit

NO_TORCH = "torch is not installed; without it no net can be read"
NO_MEMORY = "not enough memory to read the net"


def main() -> int:
    """Admit the net; the exit code."""
    models, path, game, now = sys.argv[1:]
    try:
        net = admit(Path(models), Path(path), ConfigKey.parse(game), datetime.fromisoformat(now))
    except RingriftError as error:
        return refused(str(error))
    except MemoryError:
        return refused(NO_MEMORY)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        return refused(NO_TORCH)
    print(net.model_dump_json())  # noqa: T201 - what the parent reads
    return 0


def refused(reason: str) -> int:
    """Say why there is no net, in one line; the exit code."""
    print(f"error: {reason}", file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main())
