"""`node.conf`: systemd's form, the table's names, below the environment."""

from pathlib import Path

import pytest

from config import node_conf
from config.environment import ConfigError
from config.loading import Loaded, load
from config.node_conf import FILE_BYTES_MAX, NODE_CONF, NOTHING, read_node_conf


@pytest.fixture
def said(tmp_path: Path):
    """Loads a text as `node.conf`."""

    def said(text: str | bytes, **arguments) -> Loaded:
        path = tmp_path / "node.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        arguments.setdefault("environment", {})
        return load(node_conf=path, **arguments)

    return said


@pytest.fixture
def refused(said, tmp_path: Path):
    """The message with which a text is refused, without the folder."""

    def refused(text: str | bytes) -> str:
        with pytest.raises(ConfigError) as raised:
            said(text)
        assert str(raised.value).isprintable()
        return str(raised.value).replace(f"{tmp_path}/", "")

    return refused


def test_a_line_says_what_the_variable_says_and_explain_names_it(said, tmp_path: Path):
    loaded = said("# this machine\n; too\n\nRINGRIFT_NODE_ID=gpu-1\n  RINGRIFT_P2P_PORT = 8771 \r\n")
    assert (loaded.settings.node.node_id, loaded.settings.node.port) == ("gpu-1", 8771)
    assert loaded.provenance["node.port"] == f"{tmp_path}/node.conf:5 (RINGRIFT_P2P_PORT)"
    assert f"node.port: 8771 ({tmp_path}/node.conf:5 (RINGRIFT_P2P_PORT); default 8770)" in loaded.explain("node.port")


def test_it_goes_before_the_file_and_after_the_environment(said, tmp_path: Path):
    file = tmp_path / "loop.yaml"
    file.write_text("node: {port: 1}")
    conf = "RINGRIFT_P2P_PORT=2"
    assert said(conf, file=file).settings.node.port == 2
    assert said(conf, file=file, environment={"RINGRIFT_P2P_PORT": "3"}).settings.node.port == 3
    assert said(conf, file=file, environment={"RINGRIFT_P2P_PORT": ""}).settings.node.port == 2
    by_hand = said(conf, environment={"RINGRIFT_P2P_PORT": "3"}, overrides={"node.port": 4})
    assert (by_hand.settings.node.port, by_hand.provenance["node.port"]) == (4, "command line")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("a", "a"),
        ("'a'", "a"),
        ('"a"', "a"),
        (r"\a", "a"),
        (r"a\\b", r"a\b"),
        (r"'a\b'", r"a\b"),
        (r'"a\b"', r"a\b"),
        (r'"a\"b\\c\$d\`e"', r'a"b\c$d`e'),
        ('a "b" #c', 'a "b" #c'),
        ("'a  #;b'", "a  #;b"),
        ("a=b", "a=b"),
        ("'' ", ""),
        ("", ""),
    ],
)
def test_quotes_and_backslashes_are_those_of_systemd(written, value, tmp_path: Path):
    path = tmp_path / "node.conf"
    path.write_text(f"RINGRIFT_CACHE_DIR={written}\n")
    found = {name: it.text for name, it in read_node_conf(path).variables.items()}
    assert found == ({"RINGRIFT_CACHE_DIR": value} if value else {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nsecret", "node.conf:2: no setting; write NAME=VALUE, or `#` before a comment"),
        ("PATH=/bin", "there is no variable 'PATH'; docs/reference/configuration.md lists those that there are"),
        ("=x", "there is no variable ''; docs/"),
        ("RINGRIFT_P2PPORT=1", "there is no variable 'RINGRIFT_P2PPORT'; write RINGRIFT_P2P_PORT=..."),
        ("export RINGRIFT_P2P_PORT=1", "there is no variable 'export RINGRIFT_P2P_PORT'; write RINGRIFT_P2P_PORT=..."),
        ("RINGRIFT_P2P_PORT=x", "node.conf:1: RINGRIFT_P2P_PORT is 'x'; write a port from 1 to 65534"),
        ("RINGRIFT_DEBUG=true # why", "node.conf:1: RINGRIFT_DEBUG is 'true # why'; write true or false"),
        ("RINGRIFT_P2P_PORT=1\nRINGRIFT_P2P_PORT=2", "node.conf:2: RINGRIFT_P2P_PORT is said already in node.conf:1"),
        ("RINGRIFT_NODE_ID='a", "node.conf:1: a quote is not closed"),
        ('RINGRIFT_NODE_ID="a\\"', "node.conf:1: a quote is not closed"),
        ("RINGRIFT_NODE_ID='a'b", "node.conf:1: there is text after the closing quote"),
        ("RINGRIFT_NODE_ID=a\\\nb", "node.conf:1: a backslash at the end"),
        ("RINGRIFT_NODE_ID=a\x1b", "node.conf:1: RINGRIFT_NODE_ID has a control character"),
        ("RINGRIFT_DEBUG=true\rRINGRIFT_NODE_ID=a", "node.conf:1: RINGRIFT_DEBUG has a control character"),
        (b"\n\nRINGRIFT_NODE_ID=\xff", "node.conf:3: no UTF-8"),
        (b"#" * (FILE_BYTES_MAX + 1), "node.conf: larger than 64 KiB"),
    ],
)
def test_a_line_that_cannot_be_read_is_said_with_its_number(refused, text, message):
    assert message in refused(text)


def test_no_message_shows_a_line_that_has_no_variable(refused):
    assert "hunter2" not in refused("hunter2")
    assert "hunter2" not in refused("TOKEN=hunter2")
    assert "hunter2" not in refused("RINGRIFT_CACHE_DIR='hunter2")


def test_a_setting_out_of_its_range_names_the_line(refused):
    text = refused("RINGRIFT_SWIM_ENABLED=false\n# x\nRINGRIFT_NODE_ID=-a")
    assert text.startswith("node.conf:3: RINGRIFT_NODE_ID is '-a'")


def test_what_counts_in_the_environment_only_is_remarked_unless_it_stands_there(said):
    conf = "RINGRIFT_P2P_URL=http://a:1\n"
    (remark,) = said(conf).remarks
    assert (
        "node.conf:1: RINGRIFT_P2P_URL counts in the environment only; start the node with EnvironmentFile=" in remark
    )
    assert said(conf, environment={"RINGRIFT_P2P_URL": "http://a:1"}).remarks == ()


def test_the_file_at_the_standard_place_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError, match="there is no such file"):
        read_node_conf(tmp_path / "node.conf")
    monkeypatch.setattr(node_conf, "NODE_CONF", tmp_path / "node.conf")
    assert read_node_conf(tmp_path / "node.conf") is NOTHING
    assert Path("/etc/ringrift/node.conf") == NODE_CONF


def test_a_folder_and_an_impossible_path_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="no file; write the path"):
        read_node_conf(tmp_path)
    with pytest.raises(ConfigError):
        read_node_conf(Path("a\0b"))


def test_no_file_is_read_where_none_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("config.loading.read_node_conf", lambda _: pytest.fail("read"))
    assert load(environment={}).remarks == ()
