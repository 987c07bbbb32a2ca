"""TLS: contexts from files, faults that say which file, and the warning without it."""

import ssl
from pathlib import Path

import pytest

from config.environment import ConfigError
from config.loading import load
from p2p.http.tls import server_context, warning_for
from tests.certificates import write_certificate


def test_a_context_takes_modern_tls_only(tmp_path: Path):
    context = server_context(*write_certificate(tmp_path))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_files_that_are_none_are_said_by_name(tmp_path: Path):
    cert, key = write_certificate(tmp_path)
    other_cert, _ = write_certificate(tmp_path, "other")
    (tmp_path / "nonsense").write_text("nonsense")
    (tmp_path / "nonsense").chmod(0o600)
    faults = [
        ((tmp_path / "none", key), r"node.tls_cert: .*none cannot be read \(No such file"),
        ((cert, tmp_path / "none"), r"node.tls_key: .*none cannot be read"),
        ((tmp_path, key), r"node.tls_cert: .* cannot be read \(Is a directory"),
        ((other_cert, key), r"node.tls_key: .*localhost.key is not the key of .*other.pem"),
        ((tmp_path / "nonsense", key), r"are no certificate and key in PEM"),
        ((cert, tmp_path / "nonsense"), r"are no certificate and key in PEM"),
    ]
    for files, message in faults:
        with pytest.raises(ConfigError, match=message):
            server_context(*files)


def test_a_key_that_everybody_can_read_or_that_is_encrypted_is_refused(tmp_path: Path):
    cert, key = write_certificate(tmp_path)
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="everybody can read"):
        server_context(cert, key)
    with pytest.raises(ConfigError, match="is encrypted; write it without a password"):
        server_context(*write_certificate(tmp_path, "locked", password=b"secret"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "node.example", ""])
def test_a_token_over_plain_http_is_warned_about(host: str):
    assert "tokens go over plain HTTP" in (warning_for(host, tls=False, token=True) or "")
    assert warning_for(host, tls=True, token=True) is None
    assert warning_for(host, tls=False, token=False) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "[::1]", "localhost"])
def test_on_loopback_nobody_listens(host: str):
    assert warning_for(host, tls=False, token=True) is None


def test_certificate_and_key_belong_together_in_the_settings():
    with pytest.raises(ConfigError, match="tls_cert and tls_key belong together"):
        load(overrides={"node.tls_cert": "a.pem"}, environment={})
    node = load(overrides={"node.tls_cert": "a.pem", "node.tls_key": "~/a.key"}, environment={}).settings.node
    assert node.tls_key == Path.home() / "a.key"
    with pytest.raises(ConfigError, match=r"node.admin_token_file is ''; write a file"):
        load(overrides={"node.admin_token_file": ""}, environment={})
