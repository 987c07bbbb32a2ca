"""Settings from arbitrary files: understood or refused in one line; the last source that speaks is believed."""

from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from config.catalog import catalog, sections, value_at
from config.environment import ConfigError
from config.loading import Loaded, load
from tests.property import SCALE

LAYERS = ("default", "file", "variable", "command line")
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
VALUES = st.recursive(
    SCALARS, lambda it: st.lists(it, max_size=3) | st.dictionaries(st.text(max_size=8), it, max_size=3), max_leaves=6
)
PATHS = st.sampled_from([*catalog(), *sections(), "slurm", "nothing"])
# pieces of which files are made that are nearly YAML settings
PIECES = st.sampled_from([
    "training:", "steps: ", "games: [hex8_2p]", "\n", "\n  ", "- ", "? ", "!!int ", "&a ", "*a", "{", "}", "[", "]",
    "'", '"', "#", "|", ">", "1e3", "0x", "1:30", ".nan", "<<: ", "---", "...", "%YAML 1.1", "\t", "\ufeff",
    "\x85", "\u2028", ": ",
])  # fmt: skip


def load_file(content: bytes) -> Loaded | None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s.yaml"
        path.write_bytes(content)
        try:
            return load(path, environment={})
        except ConfigError as error:
            message = str(error)
    assert message.isprintable()
    return None


@given(st.one_of(st.binary(max_size=80), st.lists(PIECES, max_size=12).map(lambda it: "".join(it).encode())))
@settings(max_examples=300 * SCALE, deadline=None)
def test_any_bytes_are_settings_or_refused_in_one_line(content: bytes):
    load_file(content)


@given(st.dictionaries(PATHS, VALUES, max_size=3))
@settings(max_examples=150 * SCALE, deadline=None)
def test_any_values_are_settings_or_refused_in_one_line(tree):
    loaded = load_file(yaml.safe_dump(tree).encode())
    if loaded is not None:
        for path, value in tree.items():
            if path in catalog() and path not in {"node.data_dir", "promotion.staging_dir"}:
                assert value_at(loaded.settings, path) == (tuple(value) if isinstance(value, list) else value)


@given(st.sets(st.sampled_from(LAYERS[1:])), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_last_source_that_speaks_is_believed(speaking, by_profile):
    games = {"file": 61, "variable": 62, "command line": 63}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s.yaml"
        path.write_text("evaluation: {games: 61}" if "file" in speaking else "")
        loaded = load(
            path,
            profile="demo" if by_profile else None,
            environment={"RINGRIFT_GAUNTLET_GAMES": "62"} if "variable" in speaking else {},
            overrides={"evaluation.games": 63} if "command line" in speaking else {},
        )
    believed = max(speaking, key=LAYERS.index, default="default")
    sources = {"file": f"{path}:1", "variable": "RINGRIFT_GAUNTLET_GAMES"}
    assert loaded.settings.evaluation.games == games.get(believed, 50)
    assert loaded.provenance["evaluation.games"] == sources.get(believed, believed)
