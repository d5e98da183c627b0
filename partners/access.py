"""Who may see and do what: roles per partner, each a set of rights (`partners.roles`).

A right that somebody has through a group, or as a superuser, counts for every partner. A role
gives its rights at its partner only: pages fetch their rows through `only`, so another partner's
row isn't there.
"""

from functools import reduce
from operator import or_
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Permission
from django.db.models import Model, Q, QuerySet
from django.shortcuts import get_object_or_404

from partners.models import Membership, Partner, Role
from partners.roles import RIGHTS
from paymentvault.models import User

M = TypeVar("M", bound=Model)

# The way from a row to its partner; a row that may have several is seen by any of them.
WAYS: dict[str, tuple[str, ...]] = {
    "partners.partner": ("pk",),
    "partners.mifosconnection": ("partner",),
    "partners.mpesashortcode": ("partner",),
    "partners.loanproduct": ("connection__partner",),
    "partners.apikey": ("partner",),
    "partners.webhookendpoint": ("partner",),
    "partners.membership": ("partner",),
    "partners.settingschange": ("partner",),
    "disbursements.disbursement": ("partner",),
    "disbursements.delivery": ("partner",),
    "disbursements.attempt": ("disbursement__partner",),
    "disbursements.settlement": ("disbursement__partner",),
    "disbursements.inquiry": ("shortcode__partner",),
    "disbursements.callback": ("attempt__disbursement__partner", "inquiry__shortcode__partner"),
    "disbursements.case": ("disbursement__partner", "shortcode__partner", "connection__partner"),
    "mifos.event": ("connection__partner",),
}


class ByMembership(ModelBackend):
    """Django's own backend, and roles per partner: `has_perm` also about one row or one partner."""

    def has_perm(self, user_obj: Any, perm: str, obj: Model | None = None) -> bool:
        if not isinstance(user_obj, User) or not user_obj.is_active:
            return False
        if is_everywhere(user_obj, perm):
            return True
        held = _held(user_obj, perm)
        if obj is None:
            return bool(held)
        if isinstance(obj, Partner):
            return obj.pk in held
        # What is no partner's is the platform's.
        if not held or obj._meta.label_lower not in WAYS:
            return False
        return type(obj)._default_manager.filter(_of(held, type(obj)), pk=obj.pk).exists()

    def get_all_permissions(self, user_obj: Any, obj: Model | None = None) -> set[str]:
        """What somebody may do everywhere: by groups and by themselves, in one query."""
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if not hasattr(user_obj, "_perm_cache"):
            found = Permission.objects.filter(Q(user=user_obj) | Q(group__user=user_obj))
            pairs = found.order_by().values_list("content_type__app_label", "codename")
            user_obj._perm_cache = {f"{app}.{codename}" for app, codename in pairs}
        cached: set[str] = user_obj._perm_cache
        return cached

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether Django's admin shows an app at all: it knows no partners."""
        if not user_obj.is_active or user_obj.is_anonymous:
            return False
        held = self.get_all_permissions(user_obj).union(
            *(RIGHTS[Role(m.role)] for m in _memberships(user_obj) if m.partner_id is None)
        )
        return any(right.startswith(f"{app_label}.") for right in held)


def partners(user: User, right: str) -> QuerySet[Partner]:
    """Those at which somebody has a right."""
    return only(Partner.objects.all(), user, right)


def only(rows: QuerySet[M], user: User | AnonymousUser | Any, right: str) -> QuerySet[M]:
    """The rows of the partners at which somebody has a right."""
    if not isinstance(user, User) or not user.is_active:
        return rows.none()
    if is_everywhere(user, right):
        return rows
    held = _held(user, right)
    return rows.filter(_of(held, rows.model)) if held else rows.none()


def of_partner(rows: QuerySet[M], pk: UUID) -> QuerySet[M]:
    """The rows of one partner."""
    return rows.filter(_of({pk}, rows.model))


def one(rows: QuerySet[M], user: User | AnonymousUser | Any, right: str, **which: Any) -> M:
    """The row, if it is there for somebody with a right at its partner; else 404."""
    return get_object_or_404(only(rows, user, right), **which)


def is_everywhere(user: User, right: str) -> bool:
    """Whether somebody has a right for every partner."""
    if user.is_superuser or right in ByMembership().get_all_permissions(user):
        return True
    return None in _held(user, right)


def leave_out_partners(user: User | AnonymousUser) -> None:
    """For the rest of the request count only what somebody may do everywhere."""
    if isinstance(user, User):
        user._memberships = [m for m in _memberships(user) if m.partner_id is None]  # type: ignore[attr-defined]


def _held(user: User, right: str) -> set[UUID | None]:
    """The partners at which a role gives the right; None stands for all."""
    return {m.partner_id for m in _memberships(user) if right in RIGHTS[Role(m.role)]}


def _memberships(user: User) -> list[Membership]:
    """Read once for a request, whose user this is."""
    if not hasattr(user, "_memberships"):
        user._memberships = list(Membership.objects.filter(user=user))  # type: ignore[attr-defined]
    found: list[Membership] = user._memberships  # type: ignore[attr-defined]
    return found


def _of(held: set[UUID | None], model: type[Model]) -> Q:
    ids = [pk for pk in held if pk is not None]
    return reduce(or_, (Q(**{f"{way}__in": ids}) for way in WAYS[model._meta.label_lower]))
