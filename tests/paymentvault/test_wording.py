"""Words that others wrote end as sentences before ours follow."""

import pytest

from paymentvault.wording import with_stop


@pytest.mark.parametrize(
    "said, ended",
    [
        ("", ""),
        (" Spike Arrest Violation ", "Spike Arrest Violation."),
        ("It is busy.", "It is busy."),
        ("Is it?", "Is it?"),
        ("Wait…", "Wait…"),
        ("line 4", "line 4."),
    ],
)
def test_what_was_said_ends_once(said, ended):
    assert with_stop(said) == ended
