"""How a command ends: what went wrong is one line on standard error, and an exit code that scripts can read."""

import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from config.environment import ConfigError
from p2p.client.node_errors import NodeUnreachable
from ringrift_core.errors import RingriftError

BAD_INPUT = 2
NO_NODE = 3


def ended(app: Callable[[], object]) -> NoReturn:
    """Run a command line and exit."""
    try:
        app()
    except NodeUnreachable as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(NO_NODE)
    except (RingriftError, ConfigError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(BAD_INPUT)
    except MemoryError:
        typer.echo("error: not enough memory for so much at once", err=True)
        sys.exit(BAD_INPUT)
    except (OSError, UnicodeError) as error:
        typer.echo(f"error: {str(error).encode('ascii', 'backslashreplace').decode()}", err=True)
        sys.exit(BAD_INPUT)
    sys.exit(0)
