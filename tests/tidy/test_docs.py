"""Documentation: links lead somewhere, the map is complete, generated pages are up to date."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.tidy import PACKAGES, ROOT, module_name, sources
from tests.tidy.cli_reference import cli_reference
from tests.tidy.configuration_reference import PAGE, configuration_reference
from tests.tidy.http_reference import PAGE as HTTP_PAGE
from tests.tidy.http_reference import http_reference
from tests.tidy.python_reference import PAGE as PYTHON_PAGE
from tests.tidy.python_reference import python_reference

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")])
FOREIGN = re.compile(r"/work/|/root/|\.\./shared|files\.pythonhosted|registry\.npmjs|deb\.debian\.org")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files(page: Path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_files_named_in_docstrings_exist():
    for path in sources(*PACKAGES, "tests"):
        for target in re.findall(r"\b(?:docs|tests)/[\w/-]+\.(?:md|py)", path.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{path}: {target}"


def test_the_map_has_every_package_and_every_room():
    text = (ROOT / "docs" / "MAP.md").read_text()
    packages = {str(path.parent.relative_to(ROOT)) for path in sources(*PACKAGES) if path.name == "__init__.py"}
    assert [package for package in packages if f"`{package}/`" not in text] == []
    game = [path.name for path in sources("ringrift_core/game") if path.name != "__init__.py"]
    assert [name for name in game if f"`{name}`" not in text] == []


def test_the_command_reference_is_generated_from_the_commands():
    page = ROOT / "docs" / "reference" / "cli.md"
    assert page.read_text() == cli_reference(), "run: python -m tests.tidy.cli_reference"


def test_the_configuration_reference_is_generated_from_the_schema():
    assert PAGE.read_text() == configuration_reference(), "run: python -m tests.tidy.configuration_reference"


def test_the_http_reference_is_generated_from_the_table_of_routes():
    assert HTTP_PAGE.read_text() == http_reference(), "run: python -m tests.tidy.http_reference"


def test_the_documents_names_are_generated_from_their_table():
    page = PYTHON_PAGE.read_text()
    assert page == python_reference(page), "run: python -m tests.tidy.python_reference"


def test_nothing_names_a_machine_or_a_registry():
    for path in tracked():
        if path.suffix in {".py", ".md", ".toml", ".txt", ""} and path != Path(__file__) and path.is_file():
            assert not FOREIGN.search(path.read_text(encoding="utf-8")), path


def test_the_readme_names_only_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?m)^([a-z]+):", makefile))
    named = set(re.findall(r"`?make ([a-z]+)", (ROOT / "README.md").read_text()))
    assert {"demo", "test"} <= named <= targets


def test_module_names_are_unique_nouns():
    names = [module_name(path) for path in sources(*PACKAGES)]
    assert not [name for name in names if re.search(r"utils|helpers|misc|common|v2|legacy|unified", name)]
