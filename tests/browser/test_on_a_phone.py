"""On a phone what decides is seen without pushing a table sideways."""

import pytest

from partners.models import Membership, Role
from tests.browser.conftest import sign_in

PHONE = {"width": 390, "height": 844}
# Cells that a person can't see whole, and tables that go on beyond the edge.
UNSEEN = """() => {
  const beyond = (one) => one.getBoundingClientRect().right > innerWidth;
  const hidden = (one) => one.getClientRects().length === 0;
  const cells = [...document.querySelectorAll("table.stacks tbody :is(td, th)")];
  const wide = [...document.querySelectorAll(".table-wrap")].filter(
    (one) => one.scrollWidth > one.clientWidth);
  return [...cells.filter((one) => beyond(one) || hidden(one)), ...wide].map(
    (one) => one.outerHTML.slice(0, 120));
}"""


@pytest.fixture
def phone(portal, visit):
    server, _ = portal
    return sign_in(visit(server, viewport=PHONE, has_touch=True, is_mobile=True),
                   "baraka", "baraka")  # fmt: skip


def addresses(rows):
    change, code = rows.last["change"].pk, rows.partner.code
    return {
        "/settings-changes/{}/": f"/settings-changes/{change}/",
        "its confirmation": f"/settings-changes/{change}/confirm/",
        "keys": f"/partners/{code}/keys/",
        "people": f"/partners/{code}/people/",
        "networks": "/networks/",
    }


@pytest.mark.parametrize("which", ["/settings-changes/{}/", "its confirmation", "keys", "people",
                                   "networks"])  # fmt: skip
def test_no_cell_is_out_of_sight(portal, phone, which):
    _, rows = portal
    Membership.objects.get_or_create(
        user=rows.amina, partner=rows.partner, role=Role.PARTNER_ADMINISTRATOR
    )
    phone.goto(addresses(rows)[which])

    assert phone.locator("table.stacks tbody td").count()
    assert phone.evaluate(UNSEEN) == []


def test_of_a_delivery_what_came_of_the_last_try_is_seen(portal, phone):
    _, rows = portal
    phone.goto(f"/partners/{rows.partner.code}/deliveries/")

    words = phone.get_by_role("cell", name="It refused the connection.").first
    box = words.bounding_box()
    assert box and box["x"] + box["width"] <= PHONE["width"]
