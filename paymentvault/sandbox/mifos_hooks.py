"""The hooks API: register, change, list, delete."""

from typing import TYPE_CHECKING, Any

import requests

from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox.mifos_body import Body
from paymentvault.sandbox.mifos_bus import Outcome
from paymentvault.sandbox.mifos_delivery import ask, target
from paymentvault.sandbox.mifos_records import Hook
from paymentvault.sandbox.mifos_values import array, compact

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

KEYS = ("name", "displayName", "isActive", "events", "config", "templateId")
LOAN_ACTIONS = [
    "CREATE", "UPDATE", "DELETE", "APPROVE", "APPROVALUNDO", "REJECT", "WITHDRAW",
    "DISBURSE", "DISBURSETOSAVINGS", "DISBURSALUNDO", "DISBURSALLASTUNDO",
    "REPAYMENT", "ADJUST", "CLOSE", "WRITEOFF",
]  # fmt: skip


def create(world: "Mifos", raw: dict[str, Any]) -> Outcome:
    body = _checked(world, raw)
    url = str(body.raw["config"]["Payload URL"])
    _reach(world, url)
    _fits_column(url)
    hook = _hook(world, body)
    return Outcome({"resourceId": hook.id}, lambda: world.hooks.update({hook.id: hook}))


def update(world: "Mifos", raw: dict[str, Any], id_: int) -> Outcome:
    """Replaces events and config, never merges; doesn't ask the URL again."""
    hook = found(world, id_)
    body = _checked(world, raw)
    _fits_column(str(body.raw["config"]["Payload URL"]))
    new = vars(_hook(world, body)) | {"id": hook.id, "created_on": hook.created_on}
    changes = {name: raw[name] for name in KEYS if name in raw and name != "name"}
    return Outcome({"resourceId": id_, "changes": changes}, lambda: vars(hook).update(new))


def delete(world: "Mifos", id_: int) -> Outcome:
    found(world, id_)
    return Outcome({"resourceId": id_}, lambda: world.hooks.pop(id_, None))


def found(world: "Mifos", id_: int) -> Hook:
    if id_ not in world.hooks:
        message = f"Hook with identifier {id_} does not exist"
        raise errors.missing("error.msg.hook.identifier.not.found", message, id_)
    return world.hooks[id_]


def _checked(world: "Mifos", raw: dict[str, Any]) -> Body:
    body = Body(raw, resource="hook", allowed=KEYS)
    if body.text("name", longest=100, required=True) not in (None, "Web"):
        message = f"Hook template {raw['name']} does not exist"
        raise errors.missing("error.msg.hook.template.not.found", message, raw["name"])
    body.text("displayName", longest=45)
    _check_events(body)
    _check_config(body)
    body.done()
    return body


def _check_events(body: Body) -> None:
    # The names in it are not looked at: a typo is kept and never fires.
    if not body.raw.get("events"):
        message = "No events are registered."
        body.wrong("events", "registered.events.cannot.be.empty", message)


def _check_config(body: Body) -> None:
    config = body.raw.get("config")
    given = config if isinstance(config, dict) else {}
    for name in ("Payload URL", "Content Type"):
        if not given.get(name):
            body.wrong(name, "cannot.be.blank", f"The parameter `{name}` is mandatory.")
    if given.get("Content Type") not in (None, "", "json", "form"):
        message = "The content type must be json or form."
        body.wrong("Content Type", "content.type.must.be.json.or.form", message)


def _reach(world: "Mifos", url: str) -> None:
    """Any HTTP status will do, but something has to answer."""
    try:
        ask(world, "GET", target(world, url))
    except requests.RequestException as error:
        detail = errors.detail(
            "validation.msg.hook.Payload URL.url.invalid", f"url invalid: {error}", "Payload URL"
        )
        raise errors.invalid(detail) from None
    except ValueError as error:
        raise errors.crash(f"java.lang.IllegalArgumentException: {error}") from None


def _fits_column(url: str) -> None:
    if len(url) > 100:  # m_hook_configuration.field_value is VARCHAR(100)
        raise errors.integrity("Unknown data integrity issue with resource.")


def _hook(world: "Mifos", body: Body) -> Hook:
    raw, today = body.raw, world.today()
    return Hook(
        id=next(world.hook_ids),
        name=raw["name"],
        display_name=raw.get("displayName") or raw["name"],
        is_active=raw.get("isActive") is True,
        events=[(e.get("entityName", ""), e.get("actionName", "")) for e in raw["events"]],
        config={name: str(value) for name, value in raw["config"].items()},
        created_on=today,
        updated_on=today,
        template_id=raw.get("templateId"),
    )


def shown(hook: Hook) -> dict[str, Any]:
    events = [{"actionName": action, "entityName": entity} for entity, action in hook.events]
    config = [{"fieldName": n, "fieldValue": v} for n, v in sorted(hook.config.items())]
    return compact(
        {
            "id": hook.id,
            "name": hook.name,
            "displayName": hook.display_name,
            "isActive": hook.is_active,
            "createdAt": array(hook.created_on),
            "updatedAt": array(hook.updated_on),
            "templateId": hook.template_id,
            "templateName": "My UGD" if hook.template_id else None,
            "events": events,
            "config": config,
        }
    )


def template() -> dict[str, Any]:
    schema = [
        {"fieldName": name, "fieldType": "string", "optional": False}
        for name in ("Payload URL", "Content Type")
    ]
    loan = {"name": "LOAN", "actions": LOAN_ACTIONS}
    return {
        "templates": [{"id": 1, "name": "Web", "schema": schema}],
        "groupings": [{"name": "portfolio", "entities": [loan]}],
    }
