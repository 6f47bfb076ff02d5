"""The exact commands that service managers are given."""

from __future__ import annotations

import pytest

from tracker.web.manager import supervisorctl, supervisord, systemctl, unit_name


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (
            systemctl("start", unit_name("session-buddy"), user=False),
            "systemctl --no-ask-password start session-buddy.service",
        ),
        (
            systemctl("restart", "mahavishnu.service", user=True),
            "systemctl --user --no-ask-password restart mahavishnu.service",
        ),
        (systemctl("daemon-reload", "", user=False), "systemctl --no-ask-password daemon-reload"),
        (
            supervisorctl("/e/s.conf", "stop", "mahavishnu"),
            "supervisorctl -c /e/s.conf stop mahavishnu",
        ),
        (
            supervisorctl("/e/s.conf", "pid", folder="/v/bin"),
            "/v/bin/supervisorctl -c /e/s.conf pid",
        ),
        (supervisord("/e/s.conf", folder="/v/bin"), "/v/bin/supervisord -c /e/s.conf"),
    ],
)
def test_argv(argv, expected):
    assert argv == expected.split()
