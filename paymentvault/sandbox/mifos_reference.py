"""Products, payment types, offices, clients and settings: what is only read."""

from typing import TYPE_CHECKING, Any

from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox.mifos_records import Client, Product
from paymentvault.sandbox.mifos_values import array, compact, currency, enum
from paymentvault.sandbox.server import Answer, Request

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

PAYMENT_TYPES: tuple[dict[str, Any], ...] = (
    {"id": 24, "name": "PTC", "description": "Cash", "isCashPayment": True, "position": 0},
    {"id": 25, "name": "mPay", "description": "not cash", "isCashPayment": False, "position": 0},
    {"id": 26, "name": "mPesa", "description": "non cash", "isCashPayment": False, "position": 0},
    {
        "id": 27,
        "name": "Mobile Money",
        "description": "money transferred through mobile",
        "isCashPayment": False,
        "position": 0,
    },
    {"id": 13, "name": "cash", "description": "cash Payment", "isCashPayment": True, "position": 1},
)
OPENED = [2009, 1, 1]
VERSIONS = {(1, 10): "1.10.1", (1, 11): "1.11.0"}


def payment_types(world: "Mifos") -> list[dict[str, Any]]:
    return list(world.payment_types)


def offices(world: "Mifos") -> list[dict[str, Any]]:
    head = {"id": 1, "name": "Head Office", "nameDecorated": "Head Office", "externalId": "1"}
    return [head | {"openingDate": OPENED, "hierarchy": "."}]


def products(world: "Mifos") -> list[dict[str, Any]]:
    return [_product(product) for product in world.products.values()]


def _product(product: Product) -> dict[str, Any]:
    return {
        "id": product.id,
        "name": product.name,
        "shortName": product.short_name,
        "includeInBorrowerCycle": False,
        "useBorrowerCycle": False,
        "startDate": [2020, 1, 1],
        "status": "loanProduct.active",
        "currency": currency("KES"),
        "principal": product.usual,
        "minPrincipal": product.minimum,
        "maxPrincipal": product.maximum,
        "numberOfRepayments": 12,
        "repaymentEvery": 1,
        "repaymentFrequencyType": enum(
            2, "repaymentFrequency.periodFrequencyType.months", "Months"
        ),
        "interestRatePerPeriod": 2,
        "annualInterestRate": 24,
        "syncExpectedWithDisbursementDate": product.syncs_expected_date,
    }


def client(world: "Mifos", id_: int) -> dict[str, Any]:
    if id_ not in world.clients:
        message = f"Client with identifier {id_} does not exist"
        raise errors.missing("error.msg.client.id.invalid", message, id_)
    return _client(world.clients[id_])


def _client(row: Client) -> dict[str, Any]:
    number, word = (300, "Active") if row.active else (100, "Pending")
    first, _, last = row.name.partition(" ")
    since = array(row.since) if row.active else None
    return compact(
        {
            "id": row.id,
            "accountNo": f"{row.id:09d}",
            "status": enum(number, f"clientStatusType.{word.lower()}", word),
            "active": row.active,
            "activationDate": since,
            "firstname": first,
            "lastname": last,
            "displayName": row.name,
            "mobileNo": row.mobile,
            "officeId": row.office_id,
            "officeName": "Head Office",
            "timeline": _timeline(row),
            "groups": [],
            "legalForm": enum(1, "legalFormType.person", "PERSON"),
        }
    )


def _timeline(row: Client) -> dict[str, Any]:
    acts = ("submitted", "activated") if row.active else ("submitted",)
    return {
        name: value
        for act in acts
        for name, value in (
            (f"{act}OnDate", array(row.since)),
            (f"{act}ByUsername", "mifos"),
            (f"{act}ByFirstname", "App"),
            (f"{act}ByLastname", "Administrator"),
        )
    }


def configurations(world: "Mifos") -> dict[str, Any]:
    flags = {
        "maker-checker": world.maker_checker,
        "allow-transactions-on-holiday": False,
        "allow-transactions-on-non_workingday": False,
        "enable-business-date": world.business_date is not None,
    }
    rows = [
        {"id": id_, "name": name, "enabled": on, "trapDoor": False}
        for id_, (name, on) in enumerate(flags.items(), start=1)
    ]
    return {"globalConfiguration": rows}


def permissions(world: "Mifos") -> list[dict[str, Any]]:
    """Which commands can wait for a checker, and which do."""
    acts = ("APPROVE", "APPROVALUNDO", "DISBURSE", "DISBURSALUNDO", "REJECT", "WITHDRAW")
    return [
        {
            "grouping": "transaction_loan",
            "code": f"{act}_LOAN",
            "entityName": "LOAN",
            "actionName": act,
            "selected": world.needs_checker(act, "LOAN"),
        }
        for act in acts
    ]


def business_date(world: "Mifos") -> dict[str, Any]:
    if not world.generation.has_business_date:
        raise errors.page(404, "HTTP Status 404 – Not Found")
    if world.business_date is None:
        message = "Business date with type BUSINESS_DATE does not exist"
        raise errors.missing("error.msg.businessdate.not.found", message, "BUSINESS_DATE")
    day = array(world.business_date)
    return {"description": "Business Date", "type": "BUSINESS_DATE", "date": day}


def actuator(world: "Mifos", request: Request) -> Answer:
    if not world.generation.has_actuator:
        raise errors.page(404, "HTTP Status 404 – Not Found")
    if request.path.endswith("/health"):
        return Answer(200, {"status": "UP"})
    major, minor = world.generation.version
    version = VERSIONS.get((major, minor), f"{major}.{minor}.0")
    return Answer(200, {"git": {"branch": "HEAD"}, "build": {"version": version}})
