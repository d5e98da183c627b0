"""Changes that are typed into a form, as drafts that one person saves or two people do."""

from abc import abstractmethod
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.db import models

from partners import pem
from partners.changes import Draft, Kind, Line, Outdated, register
from partners.forms import ConnectionPageForm, PartnerPageForm
from partners.models import MifosConnection, Partner, SettingsChange
from paymentvault import audit
from paymentvault.models import User

NOTHING, NO_LIMIT = "nothing", "no limit"
IS_SAVED = "saved, never shown"


class FormDraft(Draft):
    """What a form of one row changes."""

    free: ClassVar[frozenset[str]] = frozenset()
    """What one person may change alone whenever."""

    def __init__(self, form: Any, partner: Partner) -> None:
        self.form, self.partner = form, partner
        self.row = form.instance
        self.is_new = self.row._state.adding
        self.about = about_of(None if self.is_new else self.row)

    @classmethod
    def again(cls, change: SettingsChange, kept: dict[str, Any]) -> Self:
        row = cls.found(change.partner, change.about.partition(":")[2])
        return cls.built(row, change.partner, kept)

    @classmethod
    def built(cls, row: Any, partner: Partner, kept: dict[str, Any]) -> Self:
        saved = cls.form_of(row, partner, None)
        # What wasn't changed is as it is saved now; a secret that isn't typed anew is kept.
        data = {
            name: "" if value is None else value
            for name, value in saved.initial.items()
            if name in saved.fields
        }
        return cls(cls.form_of(row, partner, data | kept), partner)

    @classmethod
    @abstractmethod
    def found(cls, partner: Partner, pk: str) -> Any:
        """The row, locked, or a new one. Raises Outdated where one was added meanwhile."""

    @classmethod
    @abstractmethod
    def form_of(cls, row: Any, partner: Partner, typed: Any) -> Any:
        """The page's own form."""

    def changed(self) -> set[str]:
        return {*self.form.changed_data, *getattr(self.form, "cleared", ())}

    def waits(self) -> bool:
        is_in_use = self.partner.in_use_since is not None
        return is_in_use and bool(self.changed()) and not self.is_free()

    def is_free(self) -> bool:
        return self.changed() <= self.free

    def problem(self) -> str:
        if self.form.is_valid():
            return ""
        told = [error for errors in self.form.errors.values() for error in errors]
        return f"It can't be saved any more: {' '.join(told)}"

    def difference(self) -> list[Line]:
        told = self.form.changes()
        return [self._line(name, told[name]) for name in self.form.fields if name in told]

    def _line(self, name: str, told: Any) -> Line:
        label = str(self.form[name].label)
        if not isinstance(told, dict):
            return line(label, *self._hidden(name, told))
        return line(label, self.in_words(name, told["from"]), self.in_words(name, told["to"]))

    def _hidden(self, name: str, told: str) -> tuple[str, str]:
        """Secrets, and what is too long to be read: of certificates their fingerprints."""
        if name in getattr(self.form, "secrets", ()):
            return IS_SAVED if self._is_saved(name) else NOTHING, told
        old, new = self.form.initial.get(name), self.form.cleaned_data.get(name)
        return tuple(pem.fingerprints(text) if text else NOTHING for text in (old, new))  # type: ignore[return-value]

    def _is_saved(self, name: str) -> bool:
        # As it stands in the database: the form's own row has what was typed.
        rows = type(self.row)._default_manager.filter(pk=self.row.pk)
        return bool(rows.values_list(name, flat=True).first())

    def in_words(self, name: str, value: Any) -> str:
        is_sum = isinstance(self.row._meta.get_field(name), models.DecimalField)
        if value in (None, ""):
            # Of a sum "nothing" would read as KES 0.
            return NO_LIMIT if is_sum else NOTHING
        if isinstance(value, bool):
            return "Yes" if value else "No"
        if is_sum:
            return f"{Decimal(value):,.2f}"
        choices = getattr(self.form.fields[name].widget, "choices", ())
        return str(dict(choices).get(value, value)) if choices else str(value)

    def kept(self) -> dict[str, Any]:
        return {name: self._as_posted(name) for name in self.form.changed_data}

    def _as_posted(self, name: str) -> Any:
        value = self.form.cleaned_data[name]
        return value if isinstance(value, bool) else "" if value is None else str(value)

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = self.form.changes()
        return told

    def save(self, *, by: User, **detail: Any) -> str:
        changes = self.form.changes()
        row = self.form.save()
        if self.is_new or changes:
            record(row, "added" if self.is_new else "changed", by, self.partner or row,
                   **changes, **detail)  # fmt: skip
        return f"Saved {row}."


def about_of(row: models.Model | None) -> str:
    """How a change names the row that it is about."""
    return f"{row._meta.label_lower}:{row.pk}" if row else ""


def line(label: str, was: str, now: str) -> Line:
    return {"label": label, "from": was, "to": now}


def record(row: models.Model, what: str, by: User, partner: Partner, **detail: Any) -> None:
    audit.record(f"{row._meta.verbose_name} {what}", by=by.get_username(), subject=row,
                 partner_code=partner.code, **detail)  # fmt: skip


@register
class PartnerDraft(FormDraft):
    kind, right = Kind.PARTNER, "partners.change_partner"
    free = frozenset({"name", "code", "contact"})

    def __init__(self, form: PartnerPageForm, partner: Partner | None = None) -> None:
        # As saved: the form's own row has what was typed.
        saved = Partner.objects.filter(pk=form.instance.pk).first()
        super().__init__(form, partner or saved or form.instance)

    @classmethod
    def found(cls, partner: Partner, pk: str) -> Partner:
        return Partner.objects.get(pk=pk)

    @classmethod
    def form_of(cls, row: Partner, partner: Partner, typed: Any) -> PartnerPageForm:
        return PartnerPageForm(seen_now(row, typed), instance=row)

    def is_free(self) -> bool:
        """Making it inactive stops its money; making it active again lets it go."""
        stops = {"is_active"} if not self.form.cleaned_data.get("is_active") else set()
        return self.changed() <= self.free | stops

    def save(self, *, by: User, **detail: Any) -> str:
        self.partner = self.row
        return super().save(by=by, **detail)


@register
class ConnectionDraft(FormDraft):
    kind, right = Kind.CONNECTION, "partners.change_mifosconnection"
    free = frozenset({"time_zone"})

    def __init__(self, form: ConnectionPageForm, partner: Partner) -> None:
        super().__init__(form, partner)
        self.was_on = MifosConnection.objects.filter(pk=self.row.pk, is_on=True).exists()

    @classmethod
    def found(cls, partner: Partner, pk: str) -> MifosConnection:
        row = MifosConnection.objects.select_for_update().filter(partner=partner).first()
        if row is None or not pk:
            row = _new(row, MifosConnection(partner=partner))
        row.partner = partner
        return row

    @classmethod
    def form_of(cls, row: MifosConnection, partner: Partner, typed: Any) -> ConnectionPageForm:
        return ConnectionPageForm(seen_now(row, typed), instance=row)

    def difference(self) -> list[Line]:
        found = super().difference()
        if self.was_on and self.form.voids_proof():
            words = "Switched off, until it has passed its test and is switched on again"
            found.append(line("Mifos X connection", "Switched on", words))
        return found

    def save(self, *, by: User, **detail: Any) -> str:
        super().save(by=by, **detail)
        told = self._forget_products(by) if {"host_url", "tenant_id"} & self.changed() else ""
        if self.was_on and not self.row.is_on:
            return (
                "Saved. What was tested is not what is saved now, so the connection was switched "
                f"off: no loan is taken in. Test it, then switch it on again.{told}"
            )
        if self.row.configured_at:
            return "Saved. The last test still counts."
        is_new = self.is_new
        return "Saved. Test it now." if is_new else "Saved. Test it before it is switched on."

    def _forget_products(self, by: User) -> str:
        """Another Mifos X has products of its own under the same numbers."""
        rows = self.row.products.filter(is_automatic=True)
        names = list(rows.values_list("name", flat=True))
        if not names:
            return ""
        rows.update(is_automatic=False)
        record(self.row, "products switched off", by, self.partner, products=names)
        return " None of its loan products is paid automatically now: choose them anew."


def _new(there: models.Model | None, row: Any) -> Any:
    if there is not None:
        raise Outdated("Somebody else added one meanwhile.")
    return row


def seen_now(row: Any, typed: Any) -> Any:
    """Built on what is saved now, which is locked: nobody is overwritten unseen."""
    at = getattr(row, "updated_at", None)
    return None if typed is None else {**typed, "seen": at.isoformat() if at else ""}
