"""The alert rules, read and tried by promtool itself; what they name is documented."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ringrift_core.registry.alert_rules import create_rollback_alert_rules
from ringrift_core.registry.rollback_policy import ROLLBACKS_MAX, RollbackThresholds
from tests.tidy import ROOT

PROMTOOL = shutil.which("promtool", path=str(Path(sys.executable).parent)) or shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="SKIPPED LOUDLY: promtool is not here (make test fetches it on Debian and Ubuntu)"
)


def promtool(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    assert PROMTOOL is not None
    command = [PROMTOOL, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def trial(folder: Path, rules: str) -> "subprocess.CompletedProcess[str]":
    """The unit tests of the rules."""
    (folder / "rollback.yml").write_text(rules)
    shutil.copy(Path(__file__).with_name("alerts_test.yml"), folder)
    return promtool(folder, "test", "rules", "alerts_test.yml")


@needs_promtool
def test_prometheus_accepts_the_rules(tmp_path):
    (tmp_path / "rollback.yml").write_text(create_rollback_alert_rules())
    done = promtool(tmp_path, "check", "rules", "rollback.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 rules found" in done.stdout


@needs_promtool
def test_each_alert_fires_when_it_should_and_only_then(tmp_path):
    done = trial(tmp_path, create_rollback_alert_rules())
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("[1h]", "[3h]"),
        ("sum by (model_id) (round(", "sum by (model_id) (("),  # two rollbacks look like 2.0003
        ("round(max by (model_id, trigger) (", "round(sum by (model_id, trigger) ("),  # nodes counted twice
        ("> 2", "> 3"),
        ("> 50", "> 51"),
        ("> 50", ">= 50"),
        ("for: 15m", "for: 1m"),
        ("severity: critical", "severity: warning"),
    ],
)
def test_the_trial_notices_rules_that_are_wrong(tmp_path, good, bad):
    rules = create_rollback_alert_rules()
    assert good in rules
    assert trial(tmp_path, rules.replace(good, bad)).returncode != 0


def test_the_alerts_have_the_documented_names_levels_and_limits():
    rules = create_rollback_alert_rules()
    named = re.findall(r"alert: (\w+)\n(?:.*\n)*?\s+severity: (\w+)", rules)
    assert named == [
        ("ModelRollbackTriggered", "warning"),
        ("MultipleRollbacksDetected", "critical"),
        ("EloDegradation", "warning"),
    ]
    assert f"> {ROLLBACKS_MAX}\n" in rules
    assert f"> {RollbackThresholds().elo_drop_threshold:.0f}\n" in rules


def test_every_metric_of_the_rules_is_documented():
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for metric in set(re.findall(r"ringrift_\w+(?=[\[)])", create_rollback_alert_rules())):
        assert f"`{metric}" in page
