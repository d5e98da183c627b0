"""A partner is added and edited with every error beside its field, and no edit overwritten."""

import pytest

from partners.models import Partner
from paymentvault.models import AuditEvent
from tests.partners.pages.people import SEES, words

pytestmark = pytest.mark.django_db
NEW = "/partners/new/"
TYPED = {"name": "Umoja", "code": "umoja", "is_active": "on", "min_amount": "", "max_amount": ""}


def edit(admin, url, **changes):
    seen = admin.get(url).context["form"].initial["seen"]
    return admin.post(url, TYPED | {"seen": seen} | changes, REMOTE_ADDR="10.1.2.3")


def test_a_partner_is_added_off_and_in_the_audit(admin):
    answer = admin.post(NEW, TYPED | {"max_amount": "150000"}, REMOTE_ADDR="10.1.2.3")

    assert answer.url == "/partners/umoja/"
    partner = Partner.objects.get()
    assert (partner.name, partner.max_amount, partner.is_automatic) == ("Umoja", 150_000, False)
    line = AuditEvent.objects.get()
    assert (line.act, line.actor, line.partner_code) == ("partner added", "chege", "umoja")
    assert line.source_address == "10.1.2.3"


def test_automatic_disbursement_is_not_switched_by_the_form(admin, lender):
    admin.post(NEW, TYPED | {"is_automatic": "on"})
    edit(admin, "/partners/pamoja/edit/", code="pamoja")

    assert not Partner.objects.get(code="umoja").is_automatic
    assert Partner.objects.get(code="pamoja").is_automatic


@pytest.mark.parametrize(
    "changes, field, said",
    [
        ({"code": "Umoja SACCO"}, "code", "Use a-z, 0-9 and -"),
        ({"code": "new"}, "code", "The portal uses this word itself"),
        ({"code": "pamoja"}, "code", "already exists"),
        ({"min_amount": "-1"}, "min_amount", "greater than or equal to 0"),
        ({"name": ""}, "name", "required"),
        ({"min_amount": "5", "max_amount": "4"}, "", "The smallest sum is larger than the largest"),
    ],
    ids=str,
)  # fmt: skip
def test_an_error_is_told_and_what_was_typed_is_kept(admin, lender, changes, field, said):
    answer = admin.post(NEW, TYPED | {"contact": "Wanjiru, 0700"} | changes)

    assert answer.status_code == 422 and Partner.objects.count() == 1
    page = words(answer)
    assert 'value="Wanjiru, 0700"' in page and said in page and "<title>Error:" in page
    if field:
        assert f'href="#id_{field}"' in page and f'id="id_{field}_error"' in page


def test_of_two_people_who_edit_the_second_is_told(admin, lender):
    url = "/partners/pamoja/edit/"
    seen = admin.get(url).context["form"].initial["seen"]
    edit(admin, url, code="pamoja", name="Renamed by another")

    answer = admin.post(url, TYPED | {"code": "pamoja", "seen": seen})

    assert answer.status_code == 422 and "Somebody else saved this" in words(answer)
    assert 'value="Umoja"' in words(answer)
    assert Partner.objects.get().name == "Renamed by another"
    again = {name: answer.context["form"][name].value() for name in ("seen", "name", "code")}
    assert admin.post(url, TYPED | again).status_code == 302
    assert Partner.objects.get().name == "Umoja"


def test_an_edit_tells_the_audit_old_and_new(admin, lender):
    edit(admin, "/partners/pamoja/edit/", code="pamoja", name=lender.name, max_amount="90000")

    line = AuditEvent.objects.get()
    assert line.act == "partner changed"
    assert line.detail == {"max_amount": {"from": None, "to": "90000"}}


def test_saving_without_a_change_leaves_no_line(admin, lender):
    edit(admin, "/partners/pamoja/edit/", code="pamoja", name=lender.name)

    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("url", [NEW, "/partners/pamoja/edit/"])
def test_who_may_only_see_partners_can_t_change_them(signed_in, lender, url):
    client = signed_in(*SEES)

    assert client.get(url).status_code == client.post(url, TYPED).status_code == 403
    assert Partner.objects.get().name == "Pesa Pamoja"
