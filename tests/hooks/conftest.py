"""The shells that there is a hook for, in a deployment of their own."""

from __future__ import annotations

import pytest
from deployments import deployment
from shells import Hooked


@pytest.fixture
def hooked(tmp_path, monkeypatch):
    return Hooked(deployment(tmp_path, monkeypatch), tmp_path)


@pytest.fixture(params=["bash", pytest.param("zsh", marks=pytest.mark.needs("zsh"))])
def name(request):
    """Each shell that there is a hook for."""
    return request.param
