"""Tokens: where they come from, what they are compared by, where they never show."""

import pickle
from pathlib import Path

import pytest

from config.environment import SECRETS, ConfigError, overridden, secret_of
from config.loading import load
from config.sections import NodeSettings
from managers.launcher.job_environment import job_environment
from managers.ports import Order
from p2p.identity.credentials import Credentials, Token, bearer_of, load_credentials
from p2p.identity.principals import Principal

ADMIN, CLUSTER = "an-admin-token-0123", "a-cluster-token-0123"


def token_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "a.token"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_each_token_has_its_principal_and_any_other_has_none():
    credentials = Credentials(Token(ADMIN, "x"), Token(CLUSTER, "x"))
    assert credentials.principal_of(ADMIN) is Principal.ADMIN
    assert credentials.principal_of(CLUSTER) is Principal.OBSERVER
    for text in ("", ADMIN[:-1], ADMIN + "x", ADMIN.upper(), "\ud800", "é" * 20):
        assert credentials.principal_of(text) is None
    assert Credentials().principal_of("") is None


def test_a_token_comes_from_its_variable_before_its_file(tmp_path: Path):
    node = NodeSettings(node_id="n", admin_token_file=token_file(tmp_path, f"{ADMIN}\n"))
    assert load_credentials(node, {}).principal_of(ADMIN) is Principal.ADMIN
    said = load_credentials(node, {"RINGRIFT_ADMIN_TOKEN": CLUSTER, "RINGRIFT_CLUSTER_AUTH_TOKEN": ""})
    assert (said.principal_of(CLUSTER), said.principal_of(ADMIN)) == (Principal.ADMIN, None)
    assert load_credentials(NodeSettings(node_id="n"), {}).admin is None


@pytest.mark.parametrize("text", ["", "short", "x" * 15, "a token with spaces", "x" * 513, "tökentökentöken", "a" * 9])
def test_a_token_that_is_none_is_said_without_showing_it(tmp_path: Path, text: str):
    node = NodeSettings(node_id="n", cluster_token_file=token_file(tmp_path, text))
    with pytest.raises(ConfigError, match=r"node.cluster_token_file: .*a.token: a token .*make one with") as raised:
        load_credentials(node, {})
    assert not text or text not in str(raised.value)
    if text:
        with pytest.raises(ConfigError, match=r"^RINGRIFT_ADMIN_TOKEN: a token") as raised:
            load_credentials(node, {"RINGRIFT_ADMIN_TOKEN": text})
        assert text not in str(raised.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_token_that_others_can_read_is_refused(tmp_path: Path, mode: int):
    node = NodeSettings(node_id="n", admin_token_file=token_file(tmp_path, ADMIN, mode))
    with pytest.raises(ConfigError, match=r"node.admin_token_file: .* others can read it: .*chmod 600"):
        load_credentials(node, {})


def test_a_missing_file_is_said(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"there is no such file; make one with"):
        load_credentials(NodeSettings(node_id="n", admin_token_file=tmp_path / "none"), {})
    with pytest.raises(ConfigError, match=r"is no file"):
        load_credentials(NodeSettings(node_id="n", admin_token_file=tmp_path), {})


def test_one_token_for_both_is_refused():
    with pytest.raises(ConfigError, match="are the same; make two"):
        Credentials(Token(ADMIN, "x"), Token(ADMIN, "y"))


def test_a_token_never_shows_itself():
    token = Token(ADMIN, "x")
    credentials = Credentials(token)
    for text in (repr(token), str(token), f"{token}", f"{token!r:>30}", repr(credentials), repr([token])):
        assert ADMIN not in text
        assert "hidden" in text
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(token)
    assert token.reveal() == ADMIN


def test_a_secret_is_no_setting_has_no_source_and_is_in_no_remark():
    variables = dict.fromkeys(SECRETS, ADMIN) | {"RINGRIFT_ADMIN_TOKENS": ADMIN}
    loaded = load(environment=variables)
    assert list(overridden(variables)) == []
    assert ADMIN not in repr(loaded)
    assert ADMIN not in loaded.settings.model_dump_json()
    assert ADMIN not in "\n".join(loaded.explain(section) for section in ("node", "monitoring"))
    assert loaded.remarks == ("'RINGRIFT_ADMIN_TOKENS' is ignored; did you mean RINGRIFT_ADMIN_TOKEN?",)
    assert [secret_of(name, variables) for name in SECRETS] == [ADMIN, ADMIN]


def test_a_job_gets_no_secret():
    assert set(SECRETS) == {"RINGRIFT_ADMIN_TOKEN", "RINGRIFT_CLUSTER_AUTH_TOKEN"}
    order = Order(name="j", fence=1, kind="selfplay", spec=b"{}", folder=Path("j"))
    environment = job_environment(dict.fromkeys(SECRETS, ADMIN) | {"PATH": "/bin"}, order, "mark")
    assert ADMIN not in environment.values()
    assert environment["PATH"] == "/bin"


@pytest.mark.parametrize("header", [f"Bearer {ADMIN}", f"bearer  {ADMIN}", f" BEARER {ADMIN} "])
def test_a_bearer_header_holds_a_token(header: str):
    assert bearer_of(header) == ADMIN


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", ADMIN, f"Basic {ADMIN}", f"Bearer {ADMIN} x", f"Bearer\t{ADMIN}", "Bearer é",
               "Bearer " + "x" * 513, "Bearer " * 1000, f"Bearer {ADMIN},"],
)  # fmt: skip
def test_any_other_header_holds_none(header: str):
    assert bearer_of(header) is None
