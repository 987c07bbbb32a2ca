"""The five documents, snippet by snippet: what they print works, or this version says when it will.

They are not part of the repository: RINGRIFT_DOCUMENTS names their folder, else it is looked for beside the checkout.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import p2p.client
from config.environment import VARIABLES
from config.loading import load
from p2p.client import NotYetAvailable
from p2p.client.documented import DEPRECATED, IMPORTS, MODULES, SCRIPTS
from p2p.client.events import RemoteRouter
from tests.conformance.document_rows import ROWS, Row, When
from tests.conformance.documented_node import DocumentedNode, documented_node, executed
from tests.conformance.snippets import Snippet, commands, snippets
from tests.tidy import ROOT

FOLDER = Path(os.environ.get("RINGRIFT_DOCUMENTS") or ROOT.parent / "shared" / "documents")
PAGES = sorted(FOLDER.glob("*.md"))
SNIPPETS = [snippet for page in PAGES for snippet in snippets(page)]
RUN = [row for row in ROWS if row.when is When.NOW]
LATER_PYTHON = [
    (row, snippet)
    for row in ROWS
    for snippet in SNIPPETS
    if row.when is When.LATER and snippet.language == "python" and snippet.page == row.page and row.has in snippet.text
]
DOCUMENTED = [*IMPORTS, *MODULES, *SCRIPTS, *DEPRECATED]
needs_documents = pytest.mark.skipif(
    len(PAGES) != 5, reason=f"the five documents are not in {FOLDER}; RINGRIFT_DOCUMENTS names another folder"
)


def rows_of(snippet: Snippet) -> list[Row]:
    return [row for row in ROWS if row.page == snippet.page and row.has in snippet.text]


def snippet_of(row: Row) -> Snippet:
    return next(snippet for snippet in SNIPPETS if snippet.page == row.page and row.has in snippet.text)


# ---- the table ----


@needs_documents
def test_every_snippet_has_one_row_and_every_row_a_snippet(capsys: pytest.CaptureFixture[str]):
    assert [(snippet.head, len(rows_of(snippet))) for snippet in SNIPPETS if len(rows_of(snippet)) != 1] == []
    matched = {id(row) for snippet in SNIPPETS for row in rows_of(snippet)}
    assert [row.id for row in ROWS if id(row) not in matched] == []
    counts = Counter(row.when for row in ROWS)
    with capsys.disabled():
        print(
            f"\ndocuments: {len(SNIPPETS)} snippets, rows: {counts[When.NOW]} now, {counts[When.LATER]} later, "
            f"{counts[When.EXAMPLE]} examples"
        )


def test_rows_say_what_they_must():
    assert all(row.why for row in ROWS if row.when is not When.NOW)
    assert len({(row.page, row.has) for row in ROWS}) == len(ROWS)


@needs_documents
def test_every_import_of_the_documents_is_in_the_table():
    table = {row.theirs for row in IMPORTS}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for module, several, one in re.findall(r"from (app[\w.]+) import (?:\(([^)]*)\)|([\w, ]+))", text):
            names = re.findall(r"^\s*(\w+)|, *(\w+)", re.sub(r"#.*", "", several or one), re.MULTILINE)
            for name in ("".join(found) for found in names):
                assert f"{module}.{name}" in table, page.name


@needs_documents
def test_every_script_and_module_of_the_documents_is_in_the_table():
    known = {row.theirs.rpartition("/")[2] for row in DOCUMENTED}
    for page in PAGES:
        for name in re.findall(r"[\w/.-]+\.(?:py|sh)\b", page.read_text(encoding="utf-8")):
            assert name.rpartition("/")[2] in known, page.name


@needs_documents
def test_every_variable_of_the_documents_is_in_the_table_of_the_environment():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    found = set(re.findall(r"\b(?:RINGRIFT_|USE_P2P_|P2P_ORCH)[A-Z0-9_]*[A-Z0-9]\b", text))
    assert len(found) > 20
    assert found <= set(VARIABLES)


def test_commands_are_split_as_bash_does():
    block = "# no command\n\na 'b\n c' \\\n  d\nfor x in 1; do\n  y\ndone\n./z <node-id>\n"
    assert list(commands(block)) == ["a 'b\n c' \\\n  d", "for x in 1; do\n  y\ndone", "./z <node-id>"]


# ---- what is run ----


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentedNode]:
    with documented_node(tmp_path_factory.mktemp("documents")) as node:
        yield node


@needs_documents
@pytest.mark.parametrize("row", RUN, ids=lambda row: row.id)
def test_what_the_documents_print_works(row: Row, node: DocumentedNode, monkeypatch: pytest.MonkeyPatch):
    snippet = snippet_of(row)
    skip_without_tools(snippet)
    if snippet.text.startswith("export "):
        name, _, value = snippet.text.removeprefix("export ").partition("=")
        assert name in VARIABLES
        assert not load(environment={name: value}).remarks
        return
    check(row, snippet, node, monkeypatch)


def skip_without_tools(snippet: Snippet) -> None:
    for tool in ("curl", "jq"):
        if re.search(rf"\b{tool}\b", snippet.text) and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; the documents' commands need it")


def check(row: Row, snippet: Snippet, node: DocumentedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGRIFT_P2P_URL", f"http://127.0.0.1:{node.port}")
    router = p2p.client.get_router()
    assert isinstance(router, RemoteRouter)
    try:
        done = node.run(row, snippet)
    finally:
        router.close()
    assert done.code == row.code, done
    assert "coordination.log: No such file" not in done.err, done
    assert [part for part in row.shows if part not in done.out + done.err] == [], done


@needs_documents
@pytest.mark.parametrize(("row", "snippet"), LATER_PYTHON, ids=lambda it: it.id if isinstance(it, Row) else "")
def test_python_that_works_later_says_so(row: Row, snippet: Snippet):
    text = re.sub(r"from app[\w.]+ import", "from p2p.client import", snippet.text)
    with pytest.raises(NotYetAvailable, match="is not in this version; meanwhile: "):
        executed(text, {"config_key": "hex8_2p"})
