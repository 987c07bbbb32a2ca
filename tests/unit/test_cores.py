"""How many cores a process may use."""

import os

import pytest

from ringrift_core.commands.train import default_threads
from ringrift_core.cores import usable_cores


def test_a_process_that_is_bound_to_some_cores_uses_no_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1, 5, 7}, raising=False)
    assert (usable_cores(), default_threads(1), default_threads(2)) == (4, 2, 1)


def test_where_a_system_binds_nobody_all_cores_are_usable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert usable_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
