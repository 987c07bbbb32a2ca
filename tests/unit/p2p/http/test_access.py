"""Who may reach a node, as its settings say it."""

from pathlib import Path

import pytest

from config.environment import ConfigError
from config.sections import NodeSettings
from p2p.http.access import access_of
from p2p.http.origin import host_of

TOKEN = {"RINGRIFT_ADMIN_TOKEN": "a-token-of-a-test-0"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1", "localhost"])
def test_a_node_without_an_admin_token_listens_on_loopback(host: str):
    found = access_of(NodeSettings(host=host, node_id="N-1", advertise="Gpu-2:8770"), {})
    assert (found.credentials.admin, found.tls, found.warning) == (None, None, None)
    assert {"n-1", "gpu-2", host} <= found.names


@pytest.mark.parametrize("advertised", ["[2001:DB8:0:0::1]:8770", "[2001:db8::1]:8770"])
def test_an_address_is_a_name_however_it_is_written(advertised: str):
    """As `Host` headers are read."""
    host = host_of(["[2001:db8:0::1]:8770"], "http")
    assert host is not None
    assert host.name in access_of(NodeSettings(advertise=advertised), {}).names


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "node-1"])
def test_elsewhere_it_needs_one(host: str):
    with pytest.raises(ConfigError, match="RINGRIFT_ADMIN_TOKEN"):
        access_of(NodeSettings(host=host), {})
    found = access_of(NodeSettings(host=host), TOKEN)
    assert found.credentials.admin is not None
    assert found.warning is not None


def test_tls_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path):
    files = {"tls_cert": tmp_path / "cert", "tls_key": tmp_path / "key"}
    with pytest.raises(ConfigError, match="tls_cert"):
        access_of(NodeSettings.model_validate(files), {})
