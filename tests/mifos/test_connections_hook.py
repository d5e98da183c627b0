"""Registering our hook, and switching a connection on: acts of their own, each proven."""

import pytest
from django.utils import timezone

from mifos import connections
from partners import webhook_tokens
from paymentvault.http import RemoteError
from paymentvault.models import AuditEvent

pytestmark = [pytest.mark.django_db, pytest.mark.lesson(14)]


class TestHook:
    def test_it_is_created_active_and_for_all_that_matters(self, registered, mifos):
        [hook] = mifos.hooks.values()

        assert hook.url == registered.webhook_url and hook.is_active
        assert hook.events == connections.EVENTS and hook.config["Content Type"] == "json"
        registered.refresh_from_db()
        assert registered.hook_id == hook.id

    @pytest.mark.parametrize("again", ["at once", "with another token", "after it was inactive"])
    def test_registering_again_changes_the_one_there_is(self, registered, mifos, again):
        registered.refresh_from_db()
        if again == "with another token":
            webhook_tokens.generate(registered)
        for hook in mifos.hooks.values():
            hook.is_active = again != "after it was inactive"

        connections.register_hook(registered, by="amina")

        [hook] = mifos.hooks.values()
        assert (hook.is_active, hook.url) == (True, registered.webhook_url)

    def test_one_that_was_deleted_is_made_again(self, registered, mifos):
        registered.refresh_from_db()
        mifos.hooks.clear()

        assert connections.register_hook(registered, by="amina").id in mifos.hooks

    def test_an_address_that_mifos_can_t_reach_is_told(self, unproven, settings):
        settings.PUBLIC_URL = "http://127.0.0.1:9"

        with pytest.raises(RemoteError, match="url invalid"):
            connections.register_hook(unproven, by="amina")

    def test_one_that_is_too_long_is_told_without_its_secret(self, unproven, settings):
        settings.PUBLIC_URL = f"https://{'a' * 100}.test"

        with pytest.raises(ValueError, match="The address is longer than") as told:
            connections.register_hook(unproven, by="amina")

        assert "mifos-webhook" not in str(told.value)

    def test_one_that_mifos_keeps_otherwise_is_told(self, registered, mifos, monkeypatch):
        hooks = registered and list(mifos.hooks.values())
        monkeypatch.setattr(connections.MifosClient, "update_hook", lambda *_, **__: None)
        hooks[0].is_active = False

        with pytest.raises(ValueError, match="not active or points elsewhere"):
            connections.register_hook(registered, by="amina")

    def test_without_an_address_there_is_nothing_to_register(self, unproven):
        unproven.webhook_token = ""

        with pytest.raises(ValueError, match="Make a webhook address first"):
            connections.register_hook(unproven, by="amina")

    @pytest.mark.parametrize("host", ["", "a1b2c3.hooks.vault.test"])
    def test_its_address_fits_fineract(self, unproven, host):
        unproven.hook_host = host or None

        assert len(unproven.webhook_url) <= 100 and unproven.webhook_url.endswith("/")

    def test_an_address_that_is_too_long_is_not_sent(self, unproven, mifos, settings):
        settings.PUBLIC_URL = f"https://{'x' * 60}.test"

        with pytest.raises(ValueError, match="longer than the 100 characters"):
            connections.register_hook(unproven, by="amina")
        assert not mifos.requests


class TestSwitch:
    def test_it_is_switched_on_only_once_proven(self, unproven):
        with pytest.raises(ValueError, match="must pass its test"):
            connections.switch_on(unproven, by="amina")

        connections.test(unproven, by="amina")
        connections.switch_on(unproven, by="amina")

        unproven.refresh_from_db()
        assert unproven.is_on and unproven.switched_on_at <= timezone.now()
        assert unproven.backlog_listed_at is None

    def test_switching_leaves_audit_lines(self, connection):
        connections.switch_off(connection, by="amina")
        connections.switch_on(connection, by="baraka")

        lines = AuditEvent.objects.order_by("pk").values_list("act", "actor", "partner_code")
        assert list(lines) == [("connection switched off", "amina", "pamoja"),
                               ("connection switched on", "baraka", "pamoja")]  # fmt: skip
