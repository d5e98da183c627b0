"""A paid loan is disbursed in Mifos X once, and recorded only when Mifos X shows it."""

import pytest

from disbursements.models import Case, Disbursement
from disbursements.states import Status
from mifos import recording
from tests.disbursements.at_once import at_once, errors
from tests.mifos.conftest import disbursals

pytestmark = pytest.mark.django_db


@pytest.mark.lesson(13)
def test_it_is_recorded_gross_with_receipt_number_and_our_marks(generation, paid, record, mifos):
    disbursement = paid()

    record(disbursement)

    [shown] = mifos.loans[disbursement.loan_id].transactions
    assert disbursement.status == Status.RECORDED and disbursement.recorded_at
    assert (shown.amount, shown.payment_type_id) == (10_000, 26)
    assert shown.receipt_number == disbursement.mpesa_receipt
    assert (shown.account_number, shown.external_id) == ("254712345678", disbursement.external_id)
    assert mifos.loans[disbursement.loan_id].approved_principal == 10_000


@pytest.mark.lesson(12)
@pytest.mark.parametrize("status", set(Status) - {Status.PAID})
def test_nothing_is_recorded_unless_it_is_paid(paid, record, mifos, status):
    disbursement = paid(status)
    asked = len(mifos.requests)

    words = record(disbursement)

    assert (disbursement.status, len(mifos.requests)) == (status, asked)
    assert words == f"{disbursement.reference} is {status.label.lower()}."


def test_a_key_is_short_and_never_another_loan_s(paid, record, mifos):
    first, second = paid(), paid()
    record(first)
    record(second)

    keys = [request.headers["idempotency-key"] for request in disbursals(mifos)]
    assert len(set(keys)) == 2
    longest = Disbursement(
        pk=2**63 - 1, loan_id=2**63 - 1, mpesa_receipt="X" * 20, recording_key_number=32_767
    )
    assert max(len(key) for key in [*keys, recording._key(longest)]) <= 50


@pytest.mark.lesson(12)
@pytest.mark.parametrize("fault", ["parked", "empty_200_not_applied"])
def test_a_200_is_no_proof(paid, record, mifos, fault):
    disbursement = paid()
    mifos.plan(fault, command="disburse")

    record(disbursement)

    assert disbursement.status == Status.PAID and disbursement.recording_error
    assert not mifos.loans[disbursement.loan_id].transactions


def test_a_yes_that_mifos_doesn_t_show_is_asked_anew(paid, record, mifos):
    disbursement = paid()
    key = (recording._key(disbursement), "DISBURSE", "LOAN")
    record(other := paid())
    mifos.answers[key] = next(iter(mifos.answers.values()))

    assert "said yes" in record(disbursement)
    record(disbursement)

    assert disbursement.status == other.status == Status.RECORDED


AFTER = ["hang_up_after_applying", "error_500_after_applying", "reset_after_applying"]
BEFORE = ["hang_up", "error_500", "reset", "html_502", "conflict_409", "locked_409",
          "in_flight_425", "empty_200_not_applied"]  # fmt: skip


@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
def test_whatever_goes_wrong_it_is_disbursed_once(generation, paid, record, mifos, fault):
    disbursement = paid()
    mifos.plan(fault, command="disburse")

    record(disbursement)
    assert disbursement.status == Status.PAID and disbursement.recording_error
    record(disbursement)

    assert disbursement.status == Status.RECORDED and not disbursement.recording_error
    assert len(mifos.loans[disbursement.loan_id].transactions) == 1
    assert len(disbursals(mifos)) == (1 if fault in AFTER else 2)


def test_a_slow_answer_is_waited_for(paid, record, mifos):
    disbursement = paid()
    mifos.plan("slow:0.5", command="disburse")

    record(disbursement)

    assert disbursement.status == Status.RECORDED


@pytest.mark.lesson(1)
def test_a_loan_that_somebody_else_disbursed_is_for_a_person(paid, record, mifos):
    disbursement = paid()
    mifos.disburse_by_staff(disbursement.loan_id, receipt="OTHER")

    record(disbursement)

    assert disbursement.status == Status.PAID and not disbursals(mifos)
    assert "The borrower may have been paid twice" in Case.objects.get().words


@pytest.mark.parametrize("then", [lambda m, i: None, lambda m, i: m.reject(i)])
def test_an_approval_that_ended_is_for_a_person_and_pays_nothing(
    paid, record, mifos, safaricom, shortcode, then
):
    disbursement = paid()
    mifos.undo_approval(disbursement.loan_id)
    then(mifos, disbursement.loan_id)

    record(disbursement)

    assert disbursement.status == Status.PAID and not disbursals(mifos)
    words = Case.objects.get().words
    assert disbursement.mpesa_receipt in words and "Never pay it again" in words
    assert not safaricom.paid_to(disbursement.msisdn) and not disbursement.attempts.exists()


@pytest.mark.parametrize("status", [600, 700])
def test_a_loan_that_was_repaid_since_is_recorded_all_the_same(paid, record, mifos, status):
    disbursement = paid()
    mifos.plan("hang_up_after_applying", command="disburse")
    record(disbursement)
    mifos.loans[disbursement.loan_id].status = status

    record(disbursement)

    assert disbursement.status == Status.RECORDED


@pytest.mark.parametrize("status, is_reversed", [(200, True), (200, False), (300, True)])
def test_a_disbursal_of_ours_that_was_undone_is_no_proof(paid, record, mifos, status, is_reversed):
    disbursement = paid()
    mifos.plan("hang_up_after_applying", command="disburse")
    record(disbursement)
    loan = mifos.loans[disbursement.loan_id]
    loan.status, loan.transactions[0].reversed = status, is_reversed

    record(disbursement)

    assert disbursement.status == Status.PAID


def test_a_receipt_that_mifos_dropped_is_noted_and_its_loan_recorded(paid, record, mifos):
    disbursement = paid()
    mifos.plan("hang_up_after_applying", command="disburse")
    record(disbursement)
    mifos.loans[disbursement.loan_id].transactions[0].details.clear()

    record(disbursement)

    assert disbursement.status == Status.RECORDED
    assert disbursement.mpesa_receipt in mifos.loans[disbursement.loan_id].notes[-1]


def test_a_note_that_is_refused_doesn_t_keep_it_from_being_recorded(paid, record, mifos):
    disbursement = paid()
    mifos.plan("hang_up_after_applying", command="disburse")
    record(disbursement)
    mifos.loans[disbursement.loan_id].transactions[0].details.clear()
    mifos.add_user("vault", "mifos-password", permissions=["READ_LOAN", "DISBURSE_LOAN"])

    record(disbursement)

    assert disbursement.status == Status.RECORDED


class TestParked:
    @pytest.fixture
    def parked(self, paid, record, mifos):
        mifos.set_maker_checker(True)
        disbursement = paid()
        record(disbursement)
        return disbursement

    def test_a_person_is_told(self, parked):
        assert parked.recording_is_parked and "checker must approve" in parked.recording_error
        assert "a checker must approve" in Case.objects.get(kind="not_recorded").words

    def test_it_is_looked_at_without_a_second_command(self, parked, record, mifos):
        for _ in range(3):
            record(parked)

        assert parked.status == Status.PAID and len(disbursals(mifos)) == 1

    def test_a_checker_s_yes_is_recorded_and_closes_the_case(self, parked, record, mifos):
        record(parked)
        mifos.approve_parked(parked.loan_id)

        record(parked)

        assert parked.status == Status.RECORDED and len(disbursals(mifos)) == 1
        assert not Case.objects.filter(closed_at=None).exists()

    def test_after_a_checker_s_no_a_person_has_it_sent_again(self, parked, record, mifos):
        mifos.parked.clear()
        mifos.set_maker_checker(False)
        Case.objects.update(closed_at=parked.created_at, closed_by="amina")

        record(parked)

        assert parked.status == Status.RECORDED and len(disbursals(mifos)) == 2

    def test_a_server_that_is_away_meanwhile_changes_nothing(self, parked, record, mifos):
        mifos.down = True
        record(parked)
        mifos.down = False
        record(parked)

        assert parked.recording_is_parked and len(disbursals(mifos)) == 1


@pytest.mark.django_db(transaction=True)
def test_two_recorders_at_once_send_one_command(paid, mifos):
    disbursement = paid()
    mifos.plan("slow:0.3", command="disburse")

    results = at_once(lambda _: recording.record(disbursement.pk), range(6))

    assert not errors(results) and len(disbursals(mifos)) == 1
    disbursement.refresh_from_db()
    assert disbursement.status == Status.RECORDED
