"""The documents' names in docs/reference/python.md, generated from p2p/client/documented.py.

`python -m tests.tidy.python_reference` writes them; the rest of the page is written by hand.
"""

from collections.abc import Iterable

from p2p.client.documented import DEPRECATED, IMPORTS, MODULES, SCRIPTS, Documented
from tests.tidy import ROOT

PAGE = ROOT / "docs" / "reference" / "python.md"
BEGIN = "<!-- generated from here: python -m tests.tidy.python_reference -->\n"
END = "<!-- to here -->\n"
HEAD = """
## The documents' names

The names below are in `p2p.client`: `from p2p.client import PromotionController`. Inside a node (`running_node`) they
speak to its own objects, elsewhere over HTTP to the node that `RINGRIFT_P2P_URL` names, else `P2P_ORCHESTRATOR_URL`,
else `RINGRIFT_COORDINATOR_URL` (default `http://localhost:8770`); `RINGRIFT_ADMIN_TOKEN` is shown where it is set.
What the documents call plainly waits in the caller's thread, so it is refused on the thread of a node: call it by
`asyncio.to_thread` there. What they await is awaited. `publish` may be awaited or not. Outside a node handlers run on a
thread of the client.

`NodeUnreachable`: no node answers; `NodeRefusal`: it will not, with `status` and `code`; `RulesError`, `StorageError`,
`BusyError` as inside a node; `NotYetAvailable` when a name marked *later* is used. `status()` gives what `/status`
says. `ringrift old-names NAME` looks a name up.

"""


def table(head: str, rows: Iterable[Documented]) -> list[str]:
    """Rows of one kind."""
    lines = [f"| {head} | here | |", "|---|---|---|"]
    return [*lines, *(line(row) for row in rows), ""]


def line(row: Documented) -> str:
    """One row."""
    source = f" (`{row.target.partition(':')[0]}`)" if row.target else ""
    return f"| `{row.theirs}` | {row.ours}{source} | {'now' if row.now else 'later'} |"


def section() -> str:
    """The generated part."""
    lines = [
        *table("import", IMPORTS),
        *table("script", SCRIPTS),
        *table("module", MODULES),
        "Deprecated by the documents themselves (`ringrift old-names`):",
        "",
        *table("name", DEPRECATED),
    ]
    return HEAD + "\n".join(lines)


def python_reference(page: str) -> str:
    """The page with the generated part as it is to be."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"{PAGE} has no {BEGIN}"
    assert end, f"{PAGE} has no {END}"
    return before + BEGIN + section() + END + after


if __name__ == "__main__":
    PAGE.write_text(python_reference(PAGE.read_text()))
