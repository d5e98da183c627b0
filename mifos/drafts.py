"""Changes of what Mifos X is used for: loan products, and the two switches."""

from typing import Any, Self

from mifos import connections
from partners import automatic, setup
from partners.changes import Draft, Kind, Line, Outdated, register
from partners.drafts import FormDraft, about_of, line
from partners.forms import LoanProductForm
from partners.models import LoanProduct, MifosConnection, Partner, SettingsChange
from partners.pages import states
from partners.pages.partners import known_of
from paymentvault import audit
from paymentvault.models import User

PRODUCT_CHANGED = "loan product changed"


class ProductDraft(FormDraft):
    """One loan product's part."""

    @classmethod
    def found(cls, partner: Partner, pk: str) -> LoanProduct:
        row = LoanProduct.objects.filter(connection__partner=partner, pk=pk).first()
        if row is None:
            raise Outdated("One of the loan products isn't there any more.")
        return row

    @classmethod
    def form_of(cls, row: LoanProduct, partner: Partner, typed: Any) -> LoanProductForm:
        return LoanProductForm(typed, instance=row)

    def is_free(self) -> bool:
        """No longer paying one without a person."""
        is_off_now = not self.form.cleaned_data.get("is_automatic")
        return self.changed() <= ({"is_automatic"} if is_off_now else set())

    def difference(self) -> list[Line]:
        number = f" (no. {self.row.product_id})"
        return [{**told, "label": told["label"] + number} for told in super().difference()]

    def save(self, *, by: User, **detail: Any) -> str:
        changes = self.form.changes()
        self.form.save()
        audit.record(PRODUCT_CHANGED, by=by.get_username(), subject=self.row,
                     partner_code=self.partner.code, product_id=self.row.product_id,
                     **changes, **detail)  # fmt: skip
        return str(self.row)


@register
class ProductsDraft(Draft):
    kind, right = Kind.PRODUCTS, "partners.change_mifosconnection"

    def __init__(self, forms: list[Any], connection: MifosConnection, partner: Partner) -> None:
        """Of all products of a connection, or of those that change."""
        self.partner, self.about = partner, about_of(connection)
        self.parts = [ProductDraft(form, partner) for form in forms]

    @classmethod
    def again(cls, change: SettingsChange, kept: dict[str, Any]) -> Self:
        partner = change.partner
        connection = MifosConnection.objects.select_for_update().get(partner=partner)
        draft = cls([], connection, partner)
        draft.parts = [
            ProductDraft.built(ProductDraft.found(partner, pk), partner, typed)
            for pk, typed in kept.items()
        ]
        return draft

    def changed(self) -> list[ProductDraft]:
        return [part for part in self.parts if part.changed()]

    def waits(self) -> bool:
        return any(part.waits() for part in self.parts)

    def problem(self) -> str:
        return next((words for part in self.parts if (words := part.problem())), "")

    def difference(self) -> list[Line]:
        return [told for part in self.changed() for told in part.difference()]

    def kept(self) -> dict[str, Any]:
        return {str(part.row.pk): part.kept() for part in self.changed()}

    def told(self) -> dict[str, Any]:
        return {"products": self.difference()}

    def save(self, *, by: User, **detail: Any) -> str:
        names = [part.save(by=by, **detail) for part in self.changed()]
        return f"Saved: {', '.join(names)}." if names else "Nothing was changed."


class SwitchDraft(Draft):
    """A switch is about the whole set-up that it sets going."""

    def __init__(self, partner: Partner) -> None:
        self.partner = partner

    def facts(self) -> list[list[str]]:
        return setup.facts(self.partner)


@register
class ConnectionOn(SwitchDraft):
    """The first time; from then on each change of what it reads and pays waits by itself."""

    kind, right = Kind.CONNECTION_ON, "partners.change_mifosconnection"

    def __init__(self, connection: MifosConnection, partner: Partner) -> None:
        super().__init__(partner)
        self.connection, self.about = connection, about_of(connection)

    @classmethod
    def again(cls, change: SettingsChange, kept: dict[str, Any]) -> Self:
        rows = MifosConnection.objects.select_for_update()
        connection = rows.get(partner=change.partner)
        connection.partner = change.partner
        return cls(connection, change.partner)

    def waits(self) -> bool:
        return self.connection.switched_on_at is None

    def problem(self) -> str:
        if self.connection.is_on:
            return "It is switched on already."
        if not self.connection.configured_at:
            return "It must pass its test first, as it is saved now."
        if not self.partner.is_active:
            return "The partner is not active: nothing would be polled."
        return ""

    def difference(self) -> list[Line]:
        return [line("Mifos X connection", "Switched off", "Switched on")]

    def save(self, *, by: User, **detail: Any) -> str:
        connections.switch_on(self.connection, by=by.get_username(), **detail)
        return "Switched on. The first poll lists what was approved before, for a person."


@register
class AutomaticOn(SwitchDraft):
    kind, right = Kind.AUTOMATIC_ON, "partners.change_partner"

    def __init__(self, partner: Partner) -> None:
        super().__init__(partner)
        self.about = about_of(partner)

    @classmethod
    def again(cls, change: SettingsChange, kept: dict[str, Any]) -> Self:
        return cls(change.partner)

    def waits(self) -> bool:
        return True

    def problem(self) -> str:
        if self.partner.is_automatic:
            return "It is switched on already."
        reasons = states.why_not_automatic(known_of(self.partner))
        return reasons[0][0] if reasons else ""

    def difference(self) -> list[Line]:
        return [line("Automatic disbursement", "Off", "On")]

    def save(self, *, by: User, **detail: Any) -> str:
        automatic.switch(self.partner, to=True, by=by.get_username(), **detail)
        return (
            "Automatic disbursement is on. What already waits for a person goes on waiting; from "
            "the next loan on, those that pass every rule are paid. Have a small one approved in "
            "Mifos X, and watch it under Disbursements."
        )
