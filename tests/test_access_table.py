"""Who gets what at every address: one table, and an address that isn't in it fails."""

import re

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from disbursements.models import Case, Disbursement
from partners import work
from partners.models import Membership, Partner, Role
from paymentvault.models import User
from tests.pages import rows, walk
from tests.pages.everybody import AT_A_PARTNER, ask, browser, everybody

# "viewer" to "manager" have that one role at the partner that the page is about. "elsewhere" has
# all four at another partner, and "both" besides those is a viewer here.
WHO = ["nobody", "stranger", "viewer", "operator", "approver", "manager", "elsewhere", "both",
       "platform", "auditor"]  # fmt: skip
TABLE = {
    # Everybody's own: home, the account, the guide. A form's button alone is no page.
    "OWN":           "in    ok      ok      ok      ok      ok      ok      ok      ok      ok",
    "OWN BUTTON":    "in    405     405     405     405     405     405     405     405     405",
    "OUT BUTTON":    "405   405     405     405     405     405     405     405     405     405",
    "OUT":           "in    in      in      in      in      in      in      in      in      in",
    "SIGN IN":       "ok    ok      ok      ok      ok      ok      ok      ok      ok      ok",
    "NEVER":         "in    404     404     404     404     404     404     404     404     404",
    # What has rows of many partners opens for whoever sees those of one.
    "LIST":          "in    403     ok      ok      ok      ok      ok      ok      ok      ok",
    "READ ONLY":     "in    403     405     405     405     405     405     405     405     405",
    # Rows of one partner: they aren't there for others.
    "SEE":           "in    403     ok      ok      ok      ok      404     ok      ok      ok",
    "SEE A JOB":     "in    404     ok      ok      ok      ok      404     ok      ok      ok",
    "SEE PEOPLE":    "in    403     403     403     403     ok      404     404     ok      ok",
    # What is done with them.
    "TEND":          "in    403     403     ok      ok      ok      404     404     ok      403",
    "TEND MANY":     "in    403     403     ok      ok      ok      ok      ok      ok      403",
    "EXPORT":        "in    403     403     ok      ok      ok      ok      ok      ok      ok",
    "MAKE":          "in    403     403     ok      403     403     ok      ok      403     403",
    "CHECK":         "in    403     403     403     ok      403     404     404     403     403",
    "CHECK MANY":    "in    403     403     403     ok      403     ok      ok      403     403",
    "SET UP":        "in    403     403     403     403     ok      404     404     ok      403",
    "SET UP BUTTON": "in    403     403     403     403     405     405     405     405     403",
    "SET UP IN IT":  "in    403     403     403     403     ok      404     403     ok      403",
    "SEE KEYS":      "in    403     403     403     403     ok      404     404     ok      ok",
    # Of the platform, and no partner's.
    "SEE NETWORKS":  "in    403     403     403     403     403     403     403     ok      ok",
    "NETWORKS":      "in    403     403     403     403     403     403     403     ok      403",
    "NEW PARTNER":   "in    403     403     403     403     403     403     403     ok      403",
}  # fmt: skip
# For each kind of page what GET and POST are, and the names of its addresses.
KINDS = {
    ("OWN", "OWN"): "home profile password programs help:index help:page",
    ("OWN BUTTON", "OWN"): "theme session-end program-end",
    ("OUT BUTTON", "OUT"): "logout account_logout",
    ("SIGN IN", "SIGN IN"): "login account_login",
    # Somebody else's file of a job, whoever asks.
    ("NEVER", "NEVER"): "job-file",
    ("LIST", "LIST"): "charts cases:list callbacks:list events:list partners:list changes:list",
    ("LIST", "READ ONLY"): "disbursements:list",
    ("SEE", "SEE"): "disbursements:detail disbursements:live callbacks:detail events:detail "
    "partners:detail connection:webhook shortcodes:detail deliveries:list deliveries:detail "
    "deliveries:endpoint changes:detail",
    ("SEE", "READ ONLY"): "connection:test-panel",
    ("SEE A JOB", "SEE A JOB"): "job",
    ("SEE PEOPLE", "SEE PEOPLE"): "partners:people",
    ("TEND", "TEND"): "disbursements:ask disbursements:record cases:close callbacks:again "
    "events:again",
    ("TEND MANY", "TEND MANY"): "events:unreadable-again",
    ("EXPORT", "EXPORT"): "disbursements:export",
    ("MAKE", "MAKE"): "disbursements:new",
    ("CHECK", "CHECK"): "disbursements:approve disbursements:reject disbursements:release "
    "disbursements:cancel disbursements:retry disbursements:settle disbursements:settle-confirm "
    "disbursements:settle-refuse",
    ("CHECK MANY", "CHECK MANY"): "disbursements:bulk",
    ("SET UP", "SET UP"): "partners:edit partners:give-role partners:take-role "
    "connection:edit connection:on connection:off connection:webhook-rotate "
    "connection:webhook-end-old automatic:switch automatic:off automatic:look-panel "
    "shortcodes:add shortcodes:edit shortcodes:test shortcodes:pause shortcodes:resume "
    "keys:new keys:rotate keys:revoke deliveries:again deliveries:endpoint-new "
    "deliveries:endpoint-edit deliveries:endpoint-rotate deliveries:endpoint-switch "
    "deliveries:endpoint-test changes:confirm changes:refuse changes:withdraw",
    ("SET UP BUTTON", "SET UP"): "connection:test connection:poll connection:products-ask "
    "connection:webhook-make connection:webhook-register connection:webhook-try automatic:look "
    "deliveries:endpoint-secret",
    ("SEE", "SET UP IN IT"): "connection:products",
    ("SEE KEYS", "SEE KEYS"): "keys:list",
    ("SEE NETWORKS", "SEE NETWORKS"): "networks:list",
    ("NETWORKS", "NETWORKS"): "networks:propose networks:confirm networks:withdraw",
    ("NEW PARTNER", "NEW PARTNER"): "partners:new",
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names.split()}
# Programs prove by themselves who they are: whoever is signed in beside it gets the same.
PROGRAMS = ("livez", "readyz", "mifos-webhook/", "cb/")
TOKEN = "0123456789abcdef0123456789abcdef"
HERE, THERE = "pamoja", "ready"


@pytest.fixture
def made(db, monkeypatch):
    """Rows of one partner, which every example of a page is about; and of others."""
    found = rows.make(1)
    monkeypatch.setattr(walk, "OF_THE_OTHER", set())
    monkeypatch.setattr(walk, "OF_THE_READY", set())
    found.last["case"] = Case.objects.exclude(disbursement=None).last()
    found.last["job"] = found.last[work.TEST]
    return found


@pytest.fixture
def people(made):
    return everybody(made.partner, made.ready)


def pages(made):
    """One example of each address; the admin's and the programs' are classes of their own."""
    return {address.name: next(walk._examples(address, made)) for address in walk.addresses()}


def expected(name, method):
    get, post = KIND_OF[name]
    return dict(zip(WHO, TABLE[get if method == "get" else post].split(), strict=True))


def test_every_address_is_in_the_table_and_nothing_else_is():
    assert {address.name for address in walk.addresses()} == set(KIND_OF)
    assert {kind for kinds in KINDS for kind in kinds} == set(TABLE)


@pytest.mark.lesson(16)
@pytest.mark.parametrize("method", ["get", "post"])
def test_everybody_gets_what_the_table_says(made, people, method):
    wrong = {}
    for name, page in pages(made).items():
        got = {who: ask(people[who], method, page.path).word for who in WHO}
        table = expected(name, method)
        if differs := {w: f"{table[w]} -> {got[w]}" for w in WHO if got[w] != table[w]}:
            wrong[name] = differs

    assert wrong == {}


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_no_other_method_opens_what_get_and_post_do_not(made, people, method):
    wrong = {}
    for name, page in pages(made).items():
        get, post = expected(name, "get"), expected(name, "post")
        for who in ("nobody", "stranger", "viewer", "elsewhere", "both", "auditor"):
            got = ask(people[who], method, page.path).word
            # What OPTIONS tells of a page of one's own is which methods there are.
            if got not in (get[who], post[who], "405"):
                wrong[name, who] = got

    assert wrong == {}


def test_nothing_of_another_partner_is_on_any_page(made, people):
    """Names, numbers and links in every list, choice, export, chart and sentence."""
    theirs = {
        "Pesa Pamoja", "pamoja", made.shortcode.shortcode, "Lender ", "lender-", "Amina Otieno",
        *(row.reference for row in Disbursement.objects.filter(partner=made.partner)),
    }  # fmt: skip
    queries = ("", "?partner=pamoja", "?q=Amina", "?view=mine", "?status=held", "?state=all")
    found, opened = {}, 0
    for name, page in pages(made).items():
        for query in queries if expected(name, "get")["stranger"] == "403" else ("",):
            answer = ask(people["elsewhere"], "get", page.path.partition("?")[0] + query)
            opened += answer.word == "ok"
            body = re.sub(r'(value|href|action|hx-get)="[^"]*"', _without_query, answer.body)
            if leaked := {word for word in theirs if word in body and word not in query}:
                found[name + query] = leaked

    assert found == {}
    assert opened > 40


def _without_query(match):
    """What was typed into the address stands in the page's own links again."""
    return re.sub(r"(\?|&amp;)(partner|q)=\w+", "", match[0]).replace('value="Amina"', "")


@pytest.mark.parametrize("who", [who for who in WHO if who != "nobody"])
def test_no_page_shows_a_link_or_a_button_that_is_refused(made, people, who):
    client, refused, tried = people[who], {}, set()
    for name, page in pages(made).items():
        body = ask(client, "get", page.path).body
        for method, path in _ways_on(body):
            if (method, path) not in tried:
                tried.add((method, path))
                if (word := ask(client, method, path).word) != "ok" and path != "/logout/":
                    refused[name, method, path] = word

    assert refused == {}
    assert len(tried) > 5


def _ways_on(body):
    for path in re.findall(r'(?:href|hx-get)="(/[^"#]*)', body):
        if not path.startswith("/static/"):
            yield "get", path.replace("&amp;", "&")
    for form in re.findall(r"<form[^>]*>", body):
        action = re.search(r'action="(/[^"]*)"', form)
        if action:
            yield ("post" if 'method="post"' in form else "get"), action[1]


# -- the rest: programs, and Django's admin


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/mifos-webhook/test", "/mifos-webhook/loan-approval",
             f"/mifos-webhook/{TOKEN}/", f"/cb/{TOKEN}/r"],
)  # fmt: skip
def test_to_programs_it_is_all_the_same_who_is_signed_in(people, method, path):
    assert path.lstrip("/").startswith(PROGRAMS)
    answers = {ask(people[who], method, path).word for who in WHO}

    assert len(answers) == 1
    assert not answers & {"in", "403"}


def test_what_is_elsewhere_is_the_admins_or_programs():
    # Each one's own second factor; test_sign_in_second_factor.py has who gets what there. The
    # API's table is api/test_rights.py.
    assert set(walk.ELSEWHERE) == {"admin/", "api/", "second-factor/", *PROGRAMS}


MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OURS = ("partners", "disbursements", "mifos")


def admin_pages(model):
    """The pages of a model in Django's admin, and the rows that they list."""
    names = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    listed, added = reverse(f"{names}_changelist"), reverse(f"{names}_add")
    if (row := model._default_manager.first()) is None:
        return [listed, added]
    about = ("change", "delete", "history")
    return [listed, added, *(reverse(f"{names}_{page}", args=[quote(row.pk)]) for page in about)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_the_admin_is_for_the_platforms_people(made, people, model):
    # Staff by mistake, or for something else: roles at a partner open nothing there.
    clerk = browser("clerk", *((role, made.partner) for role in AT_A_PARTNER), is_staff=True)
    for page in admin_pages(model):
        for method in ("get", "post"):
            assert ask(clerk, method, page).word == "403"
            assert {ask(people[who], method, page).word for who in WHO} == {"in"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_an_auditor_reads_the_admin_and_changes_nothing(made, model):
    auditor = browser("reader", (Role.AUDITOR, None), is_staff=True)
    listed, added, *about = admin_pages(model)

    assert ask(auditor, "get", listed).word == (
        "ok" if model._meta.app_label in OURS else _word(model)
    )
    for page in (added, *about):
        assert ask(auditor, "post", page).word in ("403", "405") or page.endswith("/history/")


def _word(model):
    """Of the platform's own, the auditor sees what happened; people and groups are others'."""
    seen = ("AuditEvent", "RowChange", "Heartbeat", "KillSwitch")
    return "ok" if model.__name__ in seen else "403"


def test_the_admins_own_pages_lead_strangers_to_sign_in(db):
    for path in ("/admin/", "/admin/jsi18n/", "/admin/password_change/", "/admin/autocomplete/"):
        assert ask(Client(), "get", path).word == "in"


def test_a_role_that_is_taken_away_counts_no_more(made, people):
    page = reverse("partners:detail", args=[HERE])
    assert ask(people["viewer"], "get", page).word == "ok"

    Membership.objects.filter(user=User.objects.get(username="viewer")).delete()

    assert ask(people["viewer"], "get", page).word == "403"


def test_the_examples_are_of_the_partner_that_the_table_is_about(made):
    assert (made.partner.code, made.ready.code) == (HERE, THERE)
    assert Partner.objects.count() > 2
