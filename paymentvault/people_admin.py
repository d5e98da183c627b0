"""People and groups in Django's admin: who is there, and what they may do everywhere."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from paymentvault import audit, sessions
from paymentvault.api import tokens
from paymentvault.models import User
from paymentvault.session_store import kept_as

PASSWORDS = {"password", "password1", "password2", "usable_password"}
# What can't be taken out of the audit again isn't put in.
PERSONAL = {"email", "first_name", "last_name"}
admin.site.unregister(Group)


class Audited(admin.ModelAdmin):
    """Each change has its line, with what was and is, in the transaction that the admin opens."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        changed = {*form.changed_data}
        detail: dict[str, Any] = {
            name: {"from": _plain(form.initial.get(name)), "to": _plain(form.cleaned_data[name])}
            for name in form.changed_data
            if name not in PASSWORDS | PERSONAL
        }
        if PASSWORDS & changed:
            detail["password"] = "changed"  # noqa: S105
        detail |= dict.fromkeys(sorted(PERSONAL & changed), "changed")
        if detail:
            self._told(request, "changed" if change else "added", form.instance, **detail)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self._told(request, "deleted", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset:
                self.delete_model(request, row)

    def _told(self, request: HttpRequest, act: str, row: Model, **detail: Any) -> None:
        name = "person" if isinstance(row, User) else str(row._meta.verbose_name)
        audit.record(f"{name} {act}", by=request.user.get_username(), subject=row, **detail)


@admin.register(User)
class PersonAdmin(Audited, UserAdmin):
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What somebody did stays theirs; who has left is made inactive."""
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Whoever is let in again signs in again: nothing from before comes back to life."""
        super().save_model(request, obj, form, change)
        if change and not obj.is_active and "is_active" in form.changed_data:
            self._signed_out(request, obj, why="The account was closed.")

    def _signed_out(self, request: HttpRequest, user: User, *, why: str) -> None:
        """Everywhere but here."""
        by = request.user.get_username()
        tokens.revoke_all(user, by=by, why=why)
        if ended := sessions.end(user, except_for=kept_as(request.session.session_key)):
            audit.record("sessions ended", by=by, subject=user, count=ended, reason=why)

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == 302:
            user = User.objects.get(pk=id)
            self._told(request, "given a new password", user, password="changed")  # noqa: S106
            self._signed_out(request, user, why="The password was changed.")
        return answer


@admin.register(Group)
class AuditedGroupAdmin(Audited, GroupAdmin):
    """What a group may do, its people may do at every partner."""


def _plain(value: Any) -> Any:
    """As the audit can keep it: rows by their names, in an order of their own."""
    if isinstance(value, list | tuple | QuerySet):
        return sorted(str(one) for one in value)
    return value if value is None or isinstance(value, bool | int) else str(value)
