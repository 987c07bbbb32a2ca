"""Loading: who says what, whose word counts, and what is said of mistakes."""

from pathlib import Path

import pytest

from config.catalog import catalog
from config.environment import ConfigError
from config.loading import Loaded, load, parse_override
from config.schema import Settings
from config.yaml_file import DEPTH_MAX, FILE_BYTES_MAX
from tests.tidy import ROOT


@pytest.fixture
def said(tmp_path: Path):
    """Loads a text as the file `loop.yaml`."""

    def said(text: str | bytes, **arguments) -> Loaded:
        path = tmp_path / "loop.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        arguments.setdefault("environment", {})
        return load(path, **arguments)

    return said


@pytest.fixture
def refused(said, tmp_path: Path):
    """The message with which a text is refused, without the folder."""

    def refused(text: str | bytes, **arguments) -> str:
        with pytest.raises(ConfigError) as raised:
            said(text, **arguments)
        assert "\n" not in str(raised.value)
        return str(raised.value).replace(f"{tmp_path}/", "")

    return refused


def test_nothing_said_gives_the_defaults():
    loaded = load(environment={})
    assert loaded.settings == Settings()
    assert loaded.provenance == dict.fromkeys(catalog(), "default")
    assert loaded.remarks == ()


def test_the_later_source_goes_before_the_earlier_one(said, tmp_path: Path):
    path, file = "evaluation.games", "profile: demo\nevaluation:\n  games: 70\n"
    demo = load(profile="demo", environment={})
    assert demo.provenance["selfplay.bootstrap_games"] == "profile demo"
    assert demo.settings.selfplay.bootstrap_games != Settings().selfplay.bootstrap_games
    by_file = said(file)
    assert (by_file.settings.evaluation.games, by_file.provenance[path]) == (70, f"{tmp_path}/loop.yaml:3")
    assert by_file.provenance["selfplay.bootstrap_games"] == "profile demo"
    by_variable = said(file, environment={"RINGRIFT_GAUNTLET_GAMES": "80"})
    assert (by_variable.settings.evaluation.games, by_variable.provenance[path]) == (80, "RINGRIFT_GAUNTLET_GAMES")
    by_hand = said(file, environment={"RINGRIFT_GAUNTLET_GAMES": "80"}, overrides={path: 90})
    assert (by_hand.settings.evaluation.games, by_hand.provenance[path]) == (90, "command line")


def test_a_file_goes_before_its_profile(said):
    loaded = said("profile: production\nsafety: {min_memory_gb: 8}\n")
    assert loaded.settings.profile == "production"
    assert loaded.settings.safety.min_memory_gb == 8


def test_a_profile_asked_for_goes_before_that_of_the_file(said):
    assert said("profile: demo", profile="production").settings.safety.min_memory_gb == 64
    assert said("profile: demo", overrides={"profile": "production"}).settings.profile == "production"


@pytest.mark.parametrize("name", ["local", "demo", "production"])
def test_every_profile_loads_and_names_no_profile(name):
    loaded = load(profile=name, environment={})
    assert loaded.settings.profile == name
    text = (ROOT / "config" / "profiles" / f"{name}.yaml").read_text()
    assert "profile:" not in text


def test_production_needs_64_gb_and_local_nothing():
    assert load(profile="production", environment={}).settings.safety.min_memory_gb == 64
    assert load(environment={}).settings.safety.min_memory_gb == 0


def test_the_documented_file_writes_down_what_holds_without_it():
    loaded = load(ROOT / "config" / "unified_loop.yaml", environment={})
    assert loaded.settings == Settings()
    assert sum(source != "default" for source in loaded.provenance.values()) >= 15


def test_the_names_of_the_documents_are_understood(said):
    loaded = said(
        """
training: {trigger_threshold_games: 300, min_interval_seconds: 1200, batch_size: 128, ema_decay: 0.99}
evaluation: {shadow_interval_seconds: 900, shadow_games_per_config: 10}
promotion: {auto_promote: false, max_promotions_per_day: 15}
curriculum:
  adaptive: false
  rebalance_interval_seconds: 60
  max_weight_multiplier: 2.0
  min_weight_multiplier: 0.5
  ema_alpha: 0.2
safety: {min_memory_gb: 64, max_consecutive_failures: 5}
metrics_port: 9191
configurations:
  - board_type: 'square8'
    num_players: [2, 3]
  - board_type: hexagonal
    num_players: 4
"""
    ).settings
    training, curriculum = loaded.training, loaded.curriculum
    assert (training.trigger_threshold_games, training.min_interval_seconds) == (300, 1200)
    assert (training.batch_size, training.ema_decay) == (128, 0.99)
    assert (loaded.evaluation.shadow_interval_seconds, loaded.evaluation.shadow_games_per_config) == (900, 10)
    assert (loaded.promotion.auto_promote, loaded.promotion.max_promotions_per_day) == (False, 15)
    assert (curriculum.adaptive, curriculum.rebalance_seconds) == (False, 60)
    assert (curriculum.weight_max, curriculum.weight_min, curriculum.ema_alpha) == (2, 0.5, 0.2)
    assert (loaded.safety.min_memory_gb, loaded.safety.max_consecutive_failures) == (64, 5)
    assert loaded.node.metrics_port == 9191
    assert loaded.games == ("square8_2p", "square8_3p", "hexagonal_4p")


def test_an_empty_file_and_empty_sections_say_nothing(said):
    for text in ("", "# nothing\n", "training:\nevaluation: {}\n", "\ufefftraining:\n"):
        assert said(text).settings == Settings()


def test_numbers_and_folders_as_people_write_them(said):
    loaded = said(
        "training: {learning_rate: 1e-3, steps: 1_000}\nnode: {data_dir: ~/rings}\nselfplay: {full_share: null}"
    ).settings
    assert (loaded.training.learning_rate, loaded.training.steps) == (0.001, 1000)
    assert loaded.node.data_dir == Path.home() / "rings"
    assert loaded.selfplay.full_share is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training:\n  batch_sise: 3", "loop.yaml:2: there is no setting 'training.batch_sise'; did you mean "
         "training.batch_size?"),
        ("trainig: {}", "loop.yaml:1: there is no setting 'trainig'; did you mean training?"),
        ("batch_size: 3", "loop.yaml:1: there is no setting 'batch_size'; did you mean training.batch_size?"),
        ("safety: {zzz: 3}", "loop.yaml:1: there is no setting 'safety.zzz'; safety has min_memory_gb, "
         "max_consecutive_failures"),
        ("seed: 1\nslurm: {enabled: true}", "loop.yaml:2: not in this version: slurm (arrives with the mesh); leave it "
         "out"),
        ("data_ingestion:", "loop.yaml:1: not in this version: data_ingestion (arrives with the mesh); leave it out"),
        ("replay_buffer: {capacity: 5}", "loop.yaml:1: not in this version: replay_buffer; leave it out"),
        ("execution_backend: slurm", "loop.yaml:1: execution_backend is 'slurm'; not in this version; write auto or "
         "local"),
        ("execution_backend: moon", "loop.yaml:1: execution_backend is 'moon'; write auto or local"),
        ("profile: prod", "loop.yaml:1: profile is 'prod'; write local, demo or production"),
        ("profile: [demo]", "loop.yaml:1: profile is ('demo',); write local, demo or production"),
        ("training: 3", "loop.yaml:1: training is a section; write settings below it"),
        ("training:\n  batch_size: many", "loop.yaml:2: training.batch_size is 'many'; write a whole number from 2 to "
         "65536"),
        ("training: {batch_size: 1}", "loop.yaml:1: training.batch_size is 1; write a whole number from 2 to 65536"),
        ("training: {steps: yes}", "loop.yaml:1: training.steps is true; write a whole number from 0 to 10000000"),
        ("training: {steps: }", "loop.yaml:1: training.steps is null; write a whole number from 0 to 10000000"),
        ("training: {steps: {a: 1}}", "loop.yaml:1: training.steps is {'a': 1}; write a whole number from 0 to "
         "10000000"),
        ("promotion: {auto_promote: 1}", "loop.yaml:1: promotion.auto_promote is 1; write true or false"),
        ("promotion: {random_win_rate: 85}", "loop.yaml:1: promotion.random_win_rate is 85; write a number above 0 and "
         "below 1"),
        ("training: {passes: .nan}", "loop.yaml:1: training.passes is nan; write a number above 0 and at most 1000"),
        ("training: {passes: .inf}", "loop.yaml:1: training.passes is inf; write a number above 0 and at most 1000"),
        ("node: {data_dir: ''}", "loop.yaml:1: node.data_dir is ''; write a folder"),
        ("node: {data_dir: 3}", "loop.yaml:1: node.data_dir is 3; write a folder"),
        ("games: [hex8_2p, hex8_2p]", "loop.yaml:1: games is ['hex8_2p', 'hex8_2p']; write each game once"),
        ("games: [hex8_2p]\nconfigurations: [{board_type: hex8, num_players: 2}]",
         "loop.yaml:2: configurations is said already in loop.yaml:1; keep one of them"),
        ("selfplay: {previous_share: 0.6}\n\ntraining:\nselfplay.heuristic_share: 0.5",
         "loop.yaml:1, loop.yaml:4: selfplay: previous_share and heuristic_share sum to more than 1; write less for "
         "one of them"),
        ("training: {steps: 1}\ntraining.steps: 2", "loop.yaml:2: training.steps is said already in loop.yaml:1; keep "
         "one of them"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_says_where_and_what_to_write(refused, text, message):
    assert refused(text) == message


@pytest.mark.parametrize(
    "text", ["games: hex8_2p", "games: []", "games: [hex9_2p]", "games: [3]", "configurations: []"]
)
def test_games_are_a_list_of_known_ones(refused, text):
    assert "write a list such as [hex8_2p]" in refused(text)


@pytest.mark.parametrize(
    "entry", ["3", "[hex8_2p]", "[{board_type: hex9, num_players: [2]}]", "[{board_type: hex8}]",
              "[{board_type: hex8, num_players: [5]}]", "[{board_type: hex8, num_players: []}]", "null",
              "[{board_type: hex8, num_players: [2], weight: 3}]", "{board_type: hex8, num_players: [2]}"],
)  # fmt: skip
def test_configurations_are_a_list_of_boards_with_players(refused, entry):
    assert refused(f"configurations: {entry}").startswith(
        "loop.yaml:1: configurations is no list of games; write entries"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- training", "no settings; write sections"),
        ("training", "no settings; write sections"),
        ("a: 1\na: 2", "loop.yaml:2: 'a' is there twice, first in loop.yaml:1; keep one of them"),
        ("training: {steps: 1, steps: 1}", "'steps' is there twice"),
        ("a: &x 1\nb: *x", "loop.yaml:2: no YAML: an alias is not read; write the value itself"),
        ("<<: {a: 1}", "'<<' is no plain value"),
        ("? [a]\n: 3", "a key is no name"),
        ("1: 2", "a key is no name"),
        ("true: 2", "a key is no name"),
        ("training: !!python/object/apply:os.system [ls]", "is not known; write it without a tag"),
        ("training: !!set {steps}", "is not known; write it without a tag"),
        ("training: {steps: !!binary aGk=}", "is no plain value; write it without a tag"),
        ("training: {steps: !!int x}", "cannot be read as a value of type int"),
        ("training: {steps: !!bool x}", "cannot be read as a value of type bool"),
        ("training: {steps: !!int }", "cannot be read as a value of type int"),
        (f"training: {{steps: 0x{'f' * 5000}}}", "cannot be read as a value of type int"),
        ("training: {steps: 0x_}", "cannot be read as a value of type int"),
        (f"training: {{steps: {'9' * 5000}}}", "cannot be read as a value of type int"),
        ("training: 'x", "loop.yaml:1: no YAML: while scanning a quoted scalar found unexpected end of stream"),
        ("training: {steps: 1", "loop.yaml:1: no YAML: while parsing a flow mapping"),
        ("--- {}\n--- {}", "loop.yaml:2: no YAML: expected a single document"),
        ("training: \x01", "no YAML"),
        ("[" * 100_000, "nested too deeply"),
        ("a: " * 3, "no YAML"),
        (b"training: \xff", "byte 10 is not UTF-8; save the file as UTF-8"),
        (b"#" * (FILE_BYTES_MAX + 1), "larger than 256 KiB"),
    ],
)
def test_a_file_that_is_no_plain_yaml_is_refused_with_its_line(refused, text, message):
    assert message in refused(text)


def test_the_depth_of_a_file_is_bounded(refused):
    assert "nested too deeply" not in refused(f"a: {'[' * (DEPTH_MAX - 2)}{']' * (DEPTH_MAX - 2)}")
    assert "nested too deeply" in refused(f"a: {'[' * DEPTH_MAX}{']' * DEPTH_MAX}")


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path):
    for path, message in (
        (tmp_path / "none.yaml", "there is no such file"),
        (tmp_path, "no file; write the path of a YAML file"),
        (Path("/dev/zero"), "no file; write the path of a YAML file"),
        (tmp_path / "a\nb", r"'.*a\\nb': there is no such file"),
    ):
        with pytest.raises(ConfigError, match=message):
            load(path, environment={})


def test_a_variable_is_refused_by_its_name(refused):
    assert refused("", environment={"RINGRIFT_AUTO_PROMOTE": "maybe"}) == (
        "RINGRIFT_AUTO_PROMOTE is 'maybe'; write true or false"
    )


def test_what_does_not_fit_together_names_both_sources(refused):
    assert refused("evaluation: {games_max: 20}", environment={"RINGRIFT_GAUNTLET_GAMES": "60"}) == (
        "loop.yaml:1, RINGRIFT_GAUNTLET_GAMES: evaluation: games_max is 20, games is 60; write at least 60 for "
        "games_max, or less for games"
    )


def test_remarks_come_with_the_settings():
    assert load(environment={"RINGRIFT_UNIFIED_LOOP_LEGACY": "1"}).remarks == (
        "RINGRIFT_UNIFIED_LOOP_LEGACY is ignored: nothing needs it here",
    )


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [("training.steps=5", "training.steps", 5), ("games=[hex8_3p]", "games", ("hex8_3p",)), ("a=b=c", "a", "b=c"),
     ("training.threads=", "training.threads", None), (" seed = 7 ", "seed", 7), ("x=1e-3", "x", 0.001)],
)  # fmt: skip
def test_overrides_are_read_as_yaml(text, path, value):
    assert parse_override(text) == (path, value)


@pytest.mark.parametrize("text", ["training.steps", "=3", "", "a=[", "a=*x", "a=\udcff"])
def test_an_override_that_says_nothing_is_refused(text):
    with pytest.raises(ConfigError):
        parse_override(text)


@pytest.mark.parametrize(
    ("path", "message"),
    [("training", "command line: training is a section; write settings below it"),
     ("training.stepz", "command line: there is no setting 'training.stepz'; did you mean training.steps?"),
     ("slurm.enabled", "command line: not in this version: slurm (arrives with the mesh); leave it out")],
)  # fmt: skip
def test_overrides_are_settings(path, message):
    with pytest.raises(ConfigError) as raised:
        load(overrides={path: 1}, environment={})
    assert str(raised.value) == message


def test_a_setting_is_explained_with_its_source(said, tmp_path: Path):
    loaded = said("training:\n  batch_size: 512\n")
    assert loaded.explain("training.batch_size") == (
        f"training.batch_size: 512 ({tmp_path}/loop.yaml:2; default 256): samples per step"
    )
    assert loaded.explain("seed") == "seed: 1 (default): from which the seeds of all jobs are derived"
    assert len(loaded.explain("scheduler").splitlines()) == 6
    with pytest.raises(ConfigError, match=r"did you mean training\.steps"):
        loaded.explain("training.stepz")


def test_the_process_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGRIFT_NODE_ID", "node-7")
    assert load().settings.node.node_id == "node-7"
