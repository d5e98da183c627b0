"""Days that can't be reckoned with break no list."""

import pytest

from disbursements.models import Callback
from mifos.models import Event

LISTS = [
    ("/disbursements/", ["entered_from", "entered_to", "paid_from", "paid_to"]),
    ("/events/", ["since", "until"]),
    ("/events/again/", ["since", "until"]),
    ("/callbacks/", ["since", "until"]),
]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1999-12-31", "2100-01-01"])
@pytest.mark.parametrize("path, name", [(p, n) for p, names in LISTS for n in names])
def test_a_day_out_of_this_century_is_told_and_breaks_nothing(
    admin_client, connection, sent, path, name, day
):
    Event.objects.create(connection=connection, form="native", body="{}", state="unreadable")
    Callback.objects.create(kind="r", body="{}", attempt=sent())

    answer = admin_client.get(path, {name: day}, follow=True)

    assert answer.status_code == 200
    assert "Enter a day of this century." in answer.text


@pytest.mark.parametrize("day", ["2000-01-01", "2099-12-31"])
@pytest.mark.parametrize("path, name", [(p, n) for p, names in LISTS for n in names])
def test_the_first_and_the_last_day_are_fine(admin_client, connection, path, name, day):
    answer = admin_client.get(path, {name: day}, follow=True)

    assert answer.status_code == 200 and "of this century" not in answer.text
