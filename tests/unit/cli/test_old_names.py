"""`ringrift old-names`."""

import json

import pytest
from typer.testing import CliRunner

from p2p.cli.main import app
from p2p.cli.old_names import meant
from p2p.client.documented import DEPRECATED
from ringrift_core.errors import RulesError


def told(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["old-names", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_without_a_name_all_deprecated_ones_are_told():
    lines = told().splitlines()
    assert len(lines) == len(DEPRECATED)
    assert any(
        line.startswith("scripts/continuous_improvement_daemon.py") and "ringrift loop" in line for line in lines
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("auto_promote.py", "ringrift promote, same options"),
        (["python", "scripts/auto_promote.py"][1], "ringrift promote, same options"),
        ("app.training.promotion_controller", "PromotionController"),
        ("AutoSyncDaemon", "not in this version"),
        ("unified_event_coordinator", "the names are the same"),
    ],
)
def test_a_name_is_found_by_any_part_of_it(name, words):
    assert words in told(name)


def test_scripts_read_it_as_json():
    found = json.loads(told("get_router", "--json"))
    assert found == {
        "names": [
            {
                "name": "app.coordination.event_router.get_router",
                "now": True,
                "use": "the node's router (p2p.client.events)",
            }
        ]
    }


@pytest.mark.parametrize("name", ["no-such-name", "", " "])
def test_an_unknown_name_is_said(name):
    with pytest.raises(RulesError, match="is no name of the documents"):
        told(name)


def test_parts_are_separated_by_dots_or_slashes():
    assert meant("app.core.event_bus", "app/core/event_bus.py")
    assert meant("app/core/event_bus.py", "app.core.event_bus.get_event_bus")
