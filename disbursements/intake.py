"""An approved loan becomes exactly one disbursement: approved, awaiting approval, or held."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from disbursements import audited, cases, limits
from disbursements.holds import Hold, HoldReason, in_words
from disbursements.loans import LoanFacts, cents
from disbursements.models import OVER_BEFORE_PAYMENT, Disbursement
from disbursements.msisdn import normalise
from disbursements.states import Status
from partners import changes
from partners.models import MifosConnection, Partner

# The same number and sum within this time holds the second for a person to look at.
LOOK_ALIKE_WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class Taken:
    disbursement: Disbursement
    is_new: bool
    words: str


def take_in(
    facts: LoanFacts,
    *,
    connection: MifosConnection,
    origin: Disbursement.Origin,
    by: str,
    found: Iterable[HoldReason] = (),
) -> Taken:
    """Make the disbursement of a loan approval, or find the one that there already is.

    `found` are holds that the caller saw, such as a payload that disagrees with the loan.
    """
    for _ in range(2):
        earlier = list(Disbursement.objects.filter(connection=connection, loan_id=facts.loan_id))
        if standing := standing_of(earlier, facts):
            return _already(standing)
        try:
            with transaction.atomic():
                return _create(facts, earlier, connection, origin, by, list(found))
        except IntegrityError:
            # Another worker made it between our look and our insert: look again.
            continue
    raise RuntimeError(f"Loan {facts.loan_id} could be neither found nor created.")


def standing_of(earlier: list[Disbursement], facts: LoanFacts) -> Disbursement | None:
    """The disbursement that this very approval already has."""
    for disbursement in earlier:
        if disbursement.status not in OVER_BEFORE_PAYMENT:
            return disbursement
        is_same_approval = (
            disbursement.approved_on == facts.approved_on
            and disbursement.gross_amount == cents(facts.gross)
        )
        if not disbursement.is_approval_over and is_same_approval:
            return disbursement
    return None


def _already(standing: Disbursement) -> Taken:
    """What is known already makes nothing new; a paid loan that is approved again opens a case."""
    if standing.status == Status.RECORDED:
        cases.open_case(
            "approved_again_after_payment",
            f"{standing.reference} was paid and recorded, yet the loan is approved and undisbursed "
            "in Mifos X. Was the disbursal undone there? Money has moved once; nothing will be "
            "paid again. Settle it in Mifos X.",
            disbursement=standing,
        )
    return Taken(standing, False, f"{standing.reference} is this loan's disbursement already.")


def _create(
    facts: LoanFacts,
    earlier: list[Disbursement],
    connection: MifosConnection,
    origin: Disbursement.Origin,
    by: str,
    found: list[HoldReason],
) -> Taken:
    disbursement = drafted(facts, earlier, connection=connection, origin=origin)
    disbursement.save(force_insert=True)
    holds = [*found, *reasons_in(facts), *reasons_around(disbursement, earlier)]
    words = decide(disbursement, holds, partner=connection.partner, by=by)
    return Taken(disbursement, True, words)


def drafted(
    facts: LoanFacts,
    earlier: list[Disbursement],
    *,
    connection: MifosConnection,
    origin: Disbursement.Origin,
) -> Disbursement:
    """What would be kept of a loan's approval; nothing is written."""
    return Disbursement(
        partner=connection.partner,
        connection=connection,
        origin=origin,
        loan_id=facts.loan_id,
        loan_account=facts.account[:50],
        approval_number=1 + max((d.approval_number for d in earlier), default=0),
        approved_on=facts.approved_on,
        product_id=facts.product_id,
        product_name=facts.product_name[:100],
        client_id=facts.client_id,
        client_name=facts.client_name[:200],
        msisdn=normalise(facts.phone),
        gross_amount=cents(facts.gross),
        fees=cents(facts.fees),
        amount=facts.net,
        facts_read_at=facts.read_at,
    )


def decide(
    disbursement: Disbursement,
    holds: list[HoldReason],
    *,
    partner: Partner,
    by: str,
    note: str = "",
) -> str:
    """Move a received disbursement to where it waits next; returns what was decided, in words.

    `note` is what its history tells besides, such as what somebody entered it for.
    """
    changes.put_in_use(partner)
    if holds:
        disbursement.move(
            Status.HELD, by=by, note=f"{note} {in_words(holds)}".strip(),
            hold_words=in_words(holds), holds=[reason.hold for reason in holds],
        )  # fmt: skip
        return f"{disbursement.reference} is held: {disbursement.hold_words}"
    needs_person = why_a_person_decides(disbursement, partner)
    if not needs_person:
        disbursement.move(Status.APPROVED, by=by, note="Automatic disbursement; every rule passed.")
        audited.record("disbursement approved automatically", disbursement, by=by)
        return f"{disbursement.reference} is approved automatically."
    disbursement.move(Status.AWAITING_APPROVAL, by=by, note=note or needs_person)
    return f"{disbursement.reference} awaits a person's approval. {needs_person}"


def why_a_person_decides(disbursement: Disbursement, partner: Partner) -> str:
    """Why a disbursement that nothing speaks against isn't paid by itself; "" if it is."""
    if disbursement.connection is None:
        return "It was entered by hand."
    if not partner.is_automatic:
        return "Automatic disbursement is off."
    products = {product.product_id: product for product in disbursement.connection.products.all()}
    if not products:
        # None was ever listed: the partner's own switch decides alone.
        return ""
    product = products.get(disbursement.product_id or 0)
    if product is None or not product.is_automatic:
        name = disbursement.product_name or disbursement.product_id
        return f"Automatic disbursement is off for the loan product {name}."
    return limits.outside_of_product(disbursement.amount, product)


def reasons_in(facts: LoanFacts) -> list[HoldReason]:
    """What in the loan itself keeps it from being paid as one sum to one number."""
    found = [
        (not facts.phone.strip(), Hold.NO_NUMBER, "The client has no phone number in Mifos X."),
        (
            bool(facts.phone.strip()) and not normalise(facts.phone),
            Hold.BAD_NUMBER,
            "The client's phone number in Mifos X is not one Kenyan mobile number.",
        ),
        (facts.is_top_up, Hold.TOP_UP, "It is a top-up: the old loan's rest is not deducted yet."),
        (facts.has_tranches, Hold.TRANCHES, "The loan is paid in tranches."),
        (not facts.is_individual, Hold.NOT_INDIVIDUAL, "It is not an individual's loan."),
        (
            facts.currency != "KES",
            Hold.OTHER_CURRENCY,
            f"The loan is in {facts.currency[:10]}; M-Pesa pays KES.",
        ),
        (
            facts.has_transfer_charges,
            Hold.TRANSFER_CHARGES,
            "A charge is taken from savings, so what is to be paid is not certain.",
        ),
        (not facts.client_is_active, Hold.CLIENT_INACTIVE, "The client is not active in Mifos X."),
        (facts.net <= 0, Hold.NOTHING_TO_PAY, "The fees leave nothing to pay."),
        (
            facts.net != int(facts.net),
            Hold.NOT_WHOLE_SHILLINGS,
            f"M-Pesa pays whole shillings; released, KES {int(facts.net):,} would be paid "
            f"of KES {facts.net:,.2f}.",
        ),
        (
            facts.net_told not in (None, facts.net),
            Hold.NET_DISAGREES,
            f"Mifos X says KES {facts.net_told} is to be paid; the sum less fees is "
            f"KES {facts.net}.",
        ),
    ]
    return [HoldReason(hold, words) for is_so, hold, words in found if is_so]


def reasons_around(disbursement: Disbursement, earlier: list[Disbursement]) -> list[HoldReason]:
    """What a partner's rules, M-Pesa's limits and earlier payments say."""
    found = limits.reasons(disbursement.amount, partner=disbursement.partner)
    if any(d.is_stopped_by_person for d in earlier):
        words = "An earlier disbursement of this loan was rejected or cancelled by a person."
        found.append(HoldReason(Hold.EARLIER_DISBURSEMENT, words))
    if doubted := [d.reference for d in earlier if cases.money_may_have_moved(d)]:
        words = (
            f"Money may have moved for {', '.join(doubted)}, an earlier disbursement of this loan; "
            "see its case."
        )
        found.append(HoldReason(Hold.MAY_BE_PAID, words))
    if twin := _look_alike(disbursement):
        words = (
            f"{twin.reference} pays the same sum to the same number "
            f"({twin.get_status_display().lower()}, loan {twin.loan_id or 'none'})."
        )
        found.append(HoldReason(Hold.LOOKS_LIKE_DUPLICATE, words))
    if not disbursement.partner.is_active:
        found.append(HoldReason(Hold.PARTNER_INACTIVE, "The partner is not active."))
    return found


def _look_alike(disbursement: Disbursement) -> Disbursement | None:
    if not disbursement.msisdn:
        return None
    alike = Disbursement.objects.filter(
        partner=disbursement.partner,
        msisdn=disbursement.msisdn,
        amount=disbursement.amount,
        created_at__gte=timezone.now() - LOOK_ALIKE_WITHIN,
    )
    if disbursement.loan_id is not None:
        alike = alike.exclude(connection=disbursement.connection, loan_id=disbursement.loan_id)
    return alike.exclude(pk=disbursement.pk).exclude(status__in=OVER_BEFORE_PAYMENT).first()


def is_known_since(
    connection: MifosConnection, loan_id: int, moment: object
) -> Disbursement | None:
    """The loan's disbursement, if its facts were read after that moment.

    Then whatever was said of the loan's approval at that moment is in them already.
    """
    return (
        Disbursement.objects.filter(
            connection=connection, loan_id=loan_id, facts_read_at__gte=moment
        )
        .exclude(status__in=OVER_BEFORE_PAYMENT)
        .first()
    )
