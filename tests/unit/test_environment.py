"""The environment table."""

from pathlib import Path

import pytest

from config.environment import VARIABLES, cache_dir


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGRIFT_CACHE_DIR", "/somewhere/else")
    assert cache_dir() == Path("/somewhere/else")
    monkeypatch.delenv("RINGRIFT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/ringrift")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "ringrift"


def test_every_variable_is_described():
    assert all(name.startswith("RINGRIFT_") and text for name, text in VARIABLES.items())
