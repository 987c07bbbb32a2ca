"""What the documents name and this version does not have: it can be imported, and says so when it is used."""

from typing import NoReturn

from ringrift_core.errors import RingriftError


class NotYetAvailable(RingriftError):  # noqa: N818 - a state of affairs
    """A documented name that arrives later; the message says what to use meanwhile."""


class NotYet:
    """Stands for a documented name; calling it, or taking anything from it, raises NotYetAvailable."""

    def __init__(self, name: str, meanwhile: str) -> None:
        self._name = name
        self._meanwhile = meanwhile

    def __call__(self, *_values: object, **_named: object) -> NoReturn:
        """Say so."""
        raise self._error()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what Python itself looks for
            raise AttributeError(name)
        raise self._error()

    def __repr__(self) -> str:
        return f"<{self._name}, not in this version>"

    def _error(self) -> NotYetAvailable:
        return not_yet(self._name, self._meanwhile)


def not_yet(name: str, meanwhile: str) -> NotYetAvailable:
    """The error of a name."""
    return NotYetAvailable(f"{name} is not in this version; meanwhile: {meanwhile}")
