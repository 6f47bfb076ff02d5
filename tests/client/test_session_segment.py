"""Session ids that cannot be any are refused before anybody is asked."""

from __future__ import annotations

import pytest

from schemas.errors import NotFound
from tracker.commands.sessions import segment


@pytest.mark.parametrize("given", ["", " ", ".", "..", "a/b", "\udcff", "a\nb", "\0"])
def test_what_cannot_be_an_id_is_refused(given):
    with pytest.raises(NotFound, match="Invalid session ID") as raised:
        segment(given)
    assert "session-buddy list-sessions" in raised.value.hint
    str(raised.value).encode()


def test_an_id_is_quoted():
    assert segment("a b?c") == "a%20b%3Fc"
