"""What people decide: maker and checker differ, and what can't be paid can't be released."""

import pytest
from django.db import IntegrityError, transaction

from disbursements import approval
from disbursements.approval import NotAllowed
from disbursements.holds import NOT_RELEASABLE, Hold
from disbursements.models import Disbursement
from disbursements.states import Status, TransitionRefused
from paymentvault.models import AuditEvent

S = Status
ACTS = {
    "approve": (Status.AWAITING_APPROVAL, Status.APPROVED),
    "reject": (Status.AWAITING_APPROVAL, Status.REJECTED),
    "release": (Status.HELD, Status.APPROVED),
    "retry": (Status.FAILED, Status.APPROVED),
    "cancel": (Status.APPROVED, Status.CANCELLED),
}
CHECKED = ["approve", "release", "retry"]


def do(act, disbursement, by):
    more = {"note": "Known."} if act == "approve" else {"reason": "Known."}
    getattr(approval, act)(disbursement, by=by, **more)


@pytest.mark.parametrize("act", ACTS)
def test_an_act_moves_it_and_is_on_record(manual, baraka, act):
    was, ends = ACTS[act]
    disbursement = manual(was)

    do(act, disbursement, baraka)

    assert disbursement.status == ends
    assert disbursement.transitions.get().by == "baraka"
    line = AuditEvent.objects.get()
    assert (line.actor, line.detail["reason"]) == ("baraka", "Known.")


@pytest.mark.parametrize("act", CHECKED)
def test_a_maker_is_not_their_own_checker(manual, amina, act):
    disbursement = manual(ACTS[act][0])

    with pytest.raises(NotAllowed):
        do(act, disbursement, amina)

    disbursement.refresh_from_db()
    assert disbursement.status == ACTS[act][0]


def test_a_maker_is_not_their_own_checker_in_the_database_either(manual, amina):
    with pytest.raises(IntegrityError, match="maker_is_not_checker"), transaction.atomic():
        manual(Status.AWAITING_APPROVAL, approved_by=amina)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    "status", [S.PAID, S.RECORDED, S.SENDING, S.SENT, S.IN_DOUBT, S.CANCELLED, S.REJECTED]
)
def test_nobody_decides_what_is_on_its_way_or_over(manual, baraka, act, status):
    with pytest.raises(TransitionRefused):
        do(act, manual(status), baraka)


@pytest.mark.parametrize("act", CHECKED)
@pytest.mark.parametrize("status", [Status.HELD, Status.AWAITING_APPROVAL, Status.FAILED])
def test_no_act_is_a_way_round_the_rules_of_another(manual, baraka, act, status):
    disbursement = manual(status)

    if status == ACTS[act][0]:
        do(act, disbursement, baraka)
    else:
        with pytest.raises(TransitionRefused):
            do(act, disbursement, baraka)


@pytest.mark.lesson(8)
@pytest.mark.parametrize("hold", list(Hold))
def test_what_m_pesa_would_refuse_cannot_be_released(manual, baraka, hold):
    disbursement = manual(Status.HELD, holds=[hold, Hold.TOP_UP])

    if hold in NOT_RELEASABLE:
        with pytest.raises(NotAllowed, match=hold):
            do("release", disbursement, baraka)
    else:
        do("release", disbursement, baraka)
        assert set(disbursement.released_holds) == {hold, Hold.TOP_UP}
        assert (disbursement.holds, disbursement.hold_words) == ([], "")


def test_of_two_checkers_at_the_same_row_one_is_refused(manual, baraka):
    disbursement = manual(Status.AWAITING_APPROVAL)
    stale = Disbursement.objects.get(pk=disbursement.pk)
    approval.reject(disbursement, by=baraka, reason="No.")

    with pytest.raises(TransitionRefused):
        approval.approve(stale, by=baraka)


def test_what_a_person_approves_goes_at_once(
    manual, baraka, shortcode, wire, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        approval.approve(manual(Status.AWAITING_APPROVAL), by=baraka)

    assert len(wire.posts) == 1
