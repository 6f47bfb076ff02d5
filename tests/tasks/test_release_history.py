"""Which release a rollback goes to, and which releases are removed: pure decisions on a history."""

import pytest

from orchestrator.tasks.release_history import Entry, confirmed, release_before, surplus
from orchestrator.tasks.release_record import Release


def entries(text):
    """``+a`` switched to a, ``a`` proven, ``-a`` switched back, ``<a`` proven, ``!a`` put back."""
    events = {"+": "activated", "-": "activated", "<": "confirmed", "!": "reverted"}
    found = []
    for word in text.split():
        sign, name = (word[0], word[1:]) if word[0] in events else ("", word)
        found.append(Entry(events.get(sign, "confirmed"), name, back=sign in {"-", "<"}))
    return found


@pytest.mark.parametrize(
    ("history", "stack"),
    [
        ("", ""),
        ("+a a", "a"),
        ("+a a +a a", "a"),
        ("+a a +b b", "a b"),
        ("+a a +b !a", "a"),
        ("+a a +b b -a <a", "a"),
        ("+a a +b b +c c -b <b", "a b"),
        ("+a a +b b +a a", "a b a"),
        ("+a a +b b +a a -b <b", "a b"),
    ],
)
def test_what_was_proven_good_is_a_stack(history, stack):
    assert confirmed(entries(history)) == stack.split()


@pytest.mark.parametrize(
    ("history", "current", "usable", "expected"),
    [
        ("", None, "", None),
        ("+a a", "a", "a", None),
        ("+a a +b b", "b", "a b", "a"),
        ("+a a +b b", "b", "b", None),  # a was removed, or failed later
        ("+a a +b b +c c", "c", "a c", "a"),
        ("+a a +b", "b", "a b", "a"),  # a deploy of b died after its switch
        ("+a a +b !a", "a", "a", None),  # b failed and was put back
        ("+a a +b b -a <a", "a", "a b", None),  # gone back once; b is not the one before a
        ("+a a +b b +c c -b <b", "b", "a b c", "a"),
        ("+a a +b b +a a", "a", "a b", "b"),  # an older one was deployed again
        ("+a a +b b -a", "a", "a b", "a"),  # a rollback died after its switch: finish it
        ("+a a +b b -a", "b", "a b", "a"),  # ... or before it
    ],
)
def test_a_rollback_goes_to_what_was_proven_before(history, current, usable, expected):
    assert release_before(entries(history), current, usable.split()) == expected


def releases(text):
    """Names, the newest first; ``x!`` failed, ``x?`` is incomplete."""
    states = {"!": "failed", "?": "incomplete"}
    return [
        Release(word.rstrip("!?"), state=states.get(word[-1], "ready")) for word in text.split()
    ]


@pytest.mark.parametrize(
    ("found", "history", "current", "keep", "removed"),
    [
        ("c b a", "a b c", "c", 5, ""),
        ("f e d c b a", "a b c d e f", "f", 5, "a"),
        ("f e d c b a", "a b c d e f", "f", 2, "d c b a"),
        ("f e d c b a", "a b c d e f", "f", 1, "d c b a"),  # the one before is always kept
        ("f e d c b a", "a b c d e f <a", "a", 2, "e d c b"),
        ("f! e! d! c b a", "a b c", "c", 3, "e d a"),
        ("c b a?", "b c", "c", 2, "a"),
        ("", "", None, 5, ""),
    ],
)
def test_the_newest_are_kept_and_what_may_be_needed(found, history, current, keep, removed):
    assert surplus(releases(found), entries(history), current, keep) == removed.split()
