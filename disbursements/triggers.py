"""What PostgreSQL itself forbids, written beside the models that it guards."""

from collections.abc import Mapping
from typing import Any

import pgtrigger

from disbursements.states import ATTEMPT_NEXT, NEXT

never_deleted = pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete)


def only_moves_in(table: Mapping[Any, set[Any]]) -> pgtrigger.Trigger:
    """Refuse a change of status that isn't an edge of the table."""
    return pgtrigger.Trigger(
        name="only_moves_in_the_table",
        when=pgtrigger.Before,
        operation=pgtrigger.UpdateOf("status"),
        condition=pgtrigger.Condition("OLD.status IS DISTINCT FROM NEW.status"),
        func=f"""
            IF (OLD.status || '>' || NEW.status) IN ({_edges(table)}) THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION '% cannot become %', OLD.status, NEW.status
                USING ERRCODE = 'check_violation';
        """,
    )


def _edges(table: Mapping[Any, set[Any]]) -> str:
    pairs = sorted(f"'{was!s}>{to!s}'" for was, following in table.items() for to in following)
    return ", ".join(pairs)


disbursement_moves = only_moves_in(NEXT)
attempt_moves = only_moves_in(ATTEMPT_NEXT)

# An attempt pays what was seen at approval, to the number that was seen, and nothing else.
pays_its_disbursement = pgtrigger.Trigger(
    name="pays_its_disbursement",
    when=pgtrigger.Before,
    operation=pgtrigger.Insert,
    func="""
        IF NOT EXISTS (
            SELECT 1 FROM disbursements_disbursement d
            WHERE d.id = NEW.disbursement_id AND floor(d.amount) = NEW.amount_kes
              AND d.msisdn = NEW.msisdn
        ) THEN
            RAISE EXCEPTION 'attempt pays another sum or number than disbursement %',
                NEW.disbursement_id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    """,
)

# At commit, so that the row and its history may be written in either order.
every_move_has_history = pgtrigger.Trigger(
    name="every_move_has_history",
    when=pgtrigger.After,
    operation=pgtrigger.UpdateOf("status"),
    timing=pgtrigger.Deferred,
    condition=pgtrigger.Condition("OLD.status IS DISTINCT FROM NEW.status"),
    func="""
        IF NOT EXISTS (
            SELECT 1 FROM disbursements_transition t
            WHERE t.disbursement_id = NEW.id AND t.old = OLD.status AND t.new = NEW.status
              AND t.at >= transaction_timestamp()
        ) THEN
            RAISE EXCEPTION 'disbursement % became % without a line of history',
                NEW.id, NEW.status USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    """,
)

# The sum and the number are what was seen at approval; an attempt's id is what M-Pesa knows.
facts_stay = pgtrigger.Protect(
    name="facts_stay",
    operation=pgtrigger.Update,
    condition=pgtrigger.AnyChange(
        "amount", "gross_amount", "fees", "msisdn", "partner", "connection", "loan_id",
        "approval_number", "origin",
    ),
)  # fmt: skip
receipt_stays = pgtrigger.Protect(
    name="receipt_stays",
    operation=pgtrigger.Update,
    condition=pgtrigger.Condition(
        "OLD.mpesa_receipt <> '' AND OLD.mpesa_receipt IS DISTINCT FROM NEW.mpesa_receipt"
    ),
)
ids_stay = pgtrigger.Protect(
    name="ids_stay",
    operation=pgtrigger.Update,
    condition=pgtrigger.AnyChange(
        "disbursement", "shortcode", "originator_conversation_id", "amount_kes", "msisdn",
        "callback_token_hash",
    ),
)  # fmt: skip
what_arrived_stays = pgtrigger.Protect(
    name="what_arrived_stays",
    operation=pgtrigger.Update,
    condition=pgtrigger.AnyChange("body", "received_at", "source_address", "kind"),
)
# A webhook's id stands for one content, which its receiver may have taken already.
what_is_told_stays = pgtrigger.Protect(
    name="what_is_told_stays",
    operation=pgtrigger.Update,
    condition=pgtrigger.AnyChange(
        "webhook_id", "partner", "endpoint", "type", "disbursement", "payload"
    ),
)
