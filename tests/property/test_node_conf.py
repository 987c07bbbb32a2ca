"""node.conf from arbitrary bytes: understood or refused in one line; whatever is quoted comes back."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.environment import VARIABLES, ConfigError
from config.loading import load
from config.node_conf import NodeConf, read_node_conf
from tests.property import SCALE

PIECES = st.sampled_from([
    *VARIABLES, "=", "=true", "='", "'", '"', "\\", "\n", "#", ";", " ", "\t", "\r", "export ", "8770", "\ufeff",
    "\x00", "\u2028", "ä",
])  # fmt: skip
PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1, max_size=30)


def read(content: bytes) -> NodeConf | None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "node.conf"
        path.write_bytes(content)
        try:
            load(node_conf=path, environment={})
            return read_node_conf(path)
        except ConfigError as error:
            message = str(error)
    assert message.isprintable()
    return None


@given(st.one_of(st.binary(max_size=80), st.lists(PIECES, max_size=12).map(lambda it: "".join(it).encode())))
@example(b"RINGRIFT_ADMIN_TOKEN=t")
@settings(max_examples=300 * SCALE, deadline=None)
def test_any_bytes_are_variables_or_refused_in_one_line(content: bytes):
    found = read(content)
    assert found is None or set(found.variables) <= set(VARIABLES)


@given(PRINTABLE)
@example(" ")
@settings(max_examples=200 * SCALE, deadline=None)
def test_whatever_is_quoted_comes_back(text: str):
    quoted = {
        '"' + "".join(f"\\{it}" if it in '\\"$`' else it for it in text) + '"',
        "".join(f"\\{it}" for it in text),
        *(() if "'" in text else (f"'{text}'",)),
    }
    for value in quoted:
        found = read(f"RINGRIFT_CACHE_DIR={value}\n".encode())
        assert found is not None
        assert found.variables["RINGRIFT_CACHE_DIR"].text == text
