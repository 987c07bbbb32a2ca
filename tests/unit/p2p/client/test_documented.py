"""The table of documented names."""

import subprocess
import sys

import pytest

import p2p.client
from p2p.client import NotYetAvailable
from p2p.client.documented import DEPRECATED, EXPORTS, IMPORTS, MEANWHILE, MODULES, SCRIPTS

ARRIVING = {"CircuitBreaker"}  # in another module that is not here yet


def test_every_name_is_there_once_and_has_something_to_say():
    rows = [*IMPORTS, *MODULES, *SCRIPTS, *DEPRECATED]
    assert len({row.theirs for row in rows}) == len(rows)
    assert all(row.ours for row in rows)
    assert all(bool(row.target) == row.now for row in IMPORTS)
    assert len({row.name for row in IMPORTS}) == len(IMPORTS)
    assert not set(EXPORTS) & set(MEANWHILE)
    assert set(p2p.client.__all__) == set(EXPORTS) - ARRIVING


@pytest.mark.parametrize("name", sorted(set(EXPORTS) - ARRIVING))
def test_a_name_of_now_can_be_imported(name):
    assert getattr(p2p.client, name) is not None
    assert name in dir(p2p.client)


@pytest.mark.parametrize("name", sorted(MEANWHILE))
def test_a_name_of_later_names_itself_and_what_to_use_when_it_is_used(name):
    found = getattr(p2p.client, name)
    assert name in repr(found)
    for use in (lambda: found("all"), lambda: found.get_instance, lambda: found.HIGH):
        with pytest.raises(NotYetAvailable, match=f"^{name} is not in this version; meanwhile: .") as raised:
            use()
        assert MEANWHILE[name] in str(raised.value)


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="'NoSuchName'"):
        _ = p2p.client.NoSuchName


def test_importing_the_client_loads_nothing_else():
    heavy = "{'torch', 'numba', 'scipy', 'numpy', 'aiohttp', 'pydantic'}"
    code = f"import p2p.client, sys; found = {heavy} & set(sys.modules); assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
