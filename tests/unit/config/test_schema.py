"""The schema: settings of the same thing bear the same name and default; ranges; shares."""

import pytest
from pydantic import ValidationError

from config.catalog import catalog, sections, yaml_text
from config.schema import ALIASES, BOARD_TYPES, FOREIGN_SECTIONS, MESH_SECTIONS, Settings
from config.sections import (
    EvaluationSettings,
    PromotionSettings,
    RollbackSettings,
    SchedulerSettings,
    ScoreWeights,
    SelfplaySettings,
    TrainingSettings,
    host_name,
)
from ringrift_core.evaluation.gauntlet import GauntletSettings
from ringrift_core.evaluation.thresholds import DOCUMENTED
from ringrift_core.game.config_key import CONFIG_KEYS
from ringrift_core.game.geometry import BOARD_TYPES as BOARDS
from ringrift_core.jobs.spec import SelfplaySpec, TrainingSpec
from ringrift_core.nn.net import ARCHS
from ringrift_core.registry import RollbackThresholds

# settings of a job whose defaults are the loop's own
OWN_DEFAULTS = {"size", "steps", "save_every", "precision", "threads"}
SPEC_NAMES = {"batch_size": "batch", "ema_decay": "ema"}  # the documents' names for what a spec calls otherwise


@pytest.mark.parametrize(("section", "spec"), [(SelfplaySettings, SelfplaySpec), (TrainingSettings, TrainingSpec)])
def test_what_a_job_is_told_has_the_names_and_defaults_of_its_spec(section, spec):
    shared = {name: SPEC_NAMES.get(name, name) for name in section.model_fields}
    shared = {ours: theirs for ours, theirs in shared.items() if theirs in spec.model_fields}
    assert len(shared) >= 5
    for ours, theirs in shared.items():
        if ours not in OWN_DEFAULTS:
            assert section.model_fields[ours].default == spec.model_fields[theirs].default, ours


def test_every_default_is_what_a_job_may_be_told():
    for section, spec, source in (
        (SelfplaySettings(), SelfplaySpec, {"model": "heuristic"}),
        (TrainingSettings(), TrainingSpec, {"data": ["d"]}),
    ):
        defaults = {SPEC_NAMES.get(name, name): value for name, value in section if value is not None}
        told = {name: value for name, value in defaults.items() if name in spec.model_fields}
        spec.model_validate({"game": "hex8_2p", "out": "o", "seed": 1} | source | told)


def test_thresholds_are_those_of_the_policies():
    defaults = RollbackSettings().model_dump(exclude={"enabled", "settling_seconds"})
    assert RollbackThresholds(**defaults) == RollbackThresholds()
    rates = PromotionSettings()
    assert (rates.random_win_rate, rates.heuristic_win_rate, rates.vs_previous_win_rate) == (
        DOCUMENTED.random, DOCUMENTED.heuristic, DOCUMENTED.champion,
    )  # fmt: skip
    evaluation = EvaluationSettings()
    assert GauntletSettings().games_min == evaluation.games
    assert GauntletSettings().games_max is evaluation.games_max


def test_the_names_of_the_games_and_nets_are_those_of_the_engine():
    assert set(BOARD_TYPES) == set(BOARDS)
    assert len(CONFIG_KEYS) == 12
    assert Settings(games=tuple(map(str, CONFIG_KEYS))).games == tuple(map(str, CONFIG_KEYS))
    with pytest.raises(ValidationError):
        Settings(games=("hex8_5p",))
    assert "|".join(ARCHS) == catalog()["training.size"].allowed.replace(", ", "|").replace(" or ", "|")


def test_every_setting_is_described_and_has_a_range():
    for path, setting in catalog().items():
        assert setting.meaning, path
        assert setting.allowed, path
        assert setting.default or path == "node.node_id"
    for path, meaning in sections().items():
        assert meaning.endswith("."), path


def test_the_documents_names_stand_for_settings_and_are_none_themselves():
    known = {*catalog(), *sections()}
    assert set(ALIASES.values()) <= set(catalog())
    assert not known & (set(ALIASES) | MESH_SECTIONS | FOREIGN_SECTIONS)
    assert not MESH_SECTIONS & FOREIGN_SECTIONS


def test_records_are_frozen_and_refuse_what_they_do_not_know():
    with pytest.raises(ValidationError):
        Settings().seed = 2
    with pytest.raises(ValidationError):
        TrainingSettings.model_validate({"batch": 3})


@pytest.mark.parametrize("value", [True, "1", 1.5, None, float("nan")])
def test_a_whole_number_is_no_truth_text_or_fraction(value):
    with pytest.raises(ValidationError):
        TrainingSettings(steps=value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0, -1, 1001, True, "4"])
def test_a_number_is_finite_and_in_its_range(value):
    with pytest.raises(ValidationError):
        TrainingSettings(passes=value)


def test_scores_count_by_their_proportions():
    assert sum(dict(ScoreWeights().normalised).values()) == pytest.approx(1)
    weights = ScoreWeights(staleness=3, elo_velocity=1, curriculum=0, quality=0, data_deficit=0).normalised
    assert (weights.staleness, weights.elo_velocity, weights.quality) == (0.75, 0.25, 0)
    with pytest.raises(ValidationError, match="every weight is 0"):
        ScoreWeights(staleness=0, elo_velocity=0, curriculum=0, quality=0, data_deficit=0)


def test_the_least_shares_of_all_games_never_exceed_the_whole():
    assert SchedulerSettings().floor(2) == 0.1
    assert SchedulerSettings().floor(12) == 1 / 12
    assert SchedulerSettings(minimum_share=1).floor(4) == 0.25


def test_sections_say_what_does_not_fit_together():
    with pytest.raises(ValidationError, match="sum to more than 1"):
        SelfplaySettings(previous_share=0.6, heuristic_share=0.5)
    with pytest.raises(ValidationError, match="games_max is 20, games is 50"):
        EvaluationSettings(games_max=20)


def test_the_host_name_can_name_a_node(monkeypatch: pytest.MonkeyPatch):
    for name, node in {"gpu 1.lan": "gpu-1.lan", "": "node", "-x": "x", "\u00e4": "node", "a" * 99: "a" * 64}.items():
        monkeypatch.setattr("platform.node", lambda name=name: name)
        assert host_name() == node
        Settings()


def test_values_are_shown_as_yaml_has_them():
    assert [yaml_text(it) for it in (None, True, 0.1, 2.0, ("a", "b"), 1e-4)] == [
        "null", "true", "0.1", "2", "[a, b]", "0.0001",
    ]  # fmt: skip
