"""Three hosts behind real sshd for a whole session of pytest."""

from __future__ import annotations

import pytest
from ssh_hosts import ssh_hosts


@pytest.fixture(scope="session")
def far_hosts():
    """Hosts with address, host key, user and home of their own; who breaks one mends it."""
    with ssh_hosts("alpha", "beta", "gamma") as hosts:
        yield hosts
