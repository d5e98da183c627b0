"""The guide: a page for everything that needs a person, the diagram, and the search."""

import ast
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.template import Context, Template
from django.test import Client

from disbursements import cases, results
from disbursements.holds import NOT_RELEASABLE, Hold
from disbursements.states import FINAL, NEXT, Status
from mifos import recording
from paymentvault.models import User
from paymentvault.portal import diagram, guide, situations
from paymentvault.portal.situations import PAGES, Page

Fixture = Any
NEEDS_A_PERSON = [
    Status.AWAITING_APPROVAL, Status.HELD, Status.IN_DOUBT, Status.FAILED, Status.PAID,
]  # fmt: skip
ROOT = Path(settings.BASE_DIR)
SITUATIONS = [page for page in PAGES.values() if page.is_situation]


def kinds_opened() -> set[str]:
    """Every kind of case that the code opens, wherever it does."""
    found = set()
    for app in ("disbursements", "mifos", "partners", "paymentvault"):
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                first = node.args[0]
                if name == "open_case" and isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


@pytest.fixture
def reader(client: Client, amina: User) -> Client:
    client.force_login(amina)
    return client


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.mark.parametrize("kind", sorted({*Hold, *cases.KINDS, *kinds_opened(), *NEEDS_A_PERSON}))
def test_every_hold_case_and_state_that_needs_a_person_has_its_page(kind: str) -> None:
    page = situations.page_for(kind)

    assert page is not None
    assert page.is_situation


def test_the_kinds_of_case_are_really_found_in_the_code() -> None:
    assert {"contradiction", "poll_late", "shortcode_paused", "overdue"} <= kinds_opened()


@pytest.mark.parametrize("page", SITUATIONS, ids=lambda page: page.slug)
def test_a_situation_says_what_it_means_whether_money_moved_what_to_do_and_what_never(
    reader: Client, page: Page
) -> None:
    html = reader.get(page.url).content.decode()

    for part in ("means", "money", "press", "never"):
        section = re.search(rf'<h2 id="{part}">.*?</h2>(.*?)</section>', html, re.S)
        assert section, part
        assert len(words(section[1])) > 2, part
    assert f"<h1>{page.title}</h1>" in unescape(html)


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.slug)
def test_every_link_of_a_page_leads_somewhere(
    reader: Client, page: Page, django_assert_max_num_queries: Fixture
) -> None:
    with django_assert_max_num_queries(12):
        html = reader.get(page.url).content.decode()
    content = html.partition("<main")[2]

    for url in set(re.findall(r'href="(/help/[^"#]*)"', content)):
        assert reader.get(url).status_code == 200, url
    for anchor in set(re.findall(r'href="#([^"]+)"', content)):
        assert f'id="{anchor}"' in content


def test_every_page_has_a_template_and_every_template_a_page() -> None:
    folder = ROOT / "templates" / "help" / "pages"

    assert {path.stem for path in folder.glob("*.html")} == set(PAGES)


def test_the_index_names_every_page(reader: Client) -> None:
    html = unescape(reader.get("/help/").content.decode())

    assert [p.slug for p in PAGES.values() if f'href="{p.url}">{p.title}<' not in html] == []


def test_an_unknown_page_is_404(reader: Client) -> None:
    assert reader.get("/help/nothing-of-the-kind/").status_code == 404


def test_the_guide_is_for_those_who_are_signed_in(client: Client, db: None) -> None:
    assert client.get("/help/in-doubt/").status_code == 302


@pytest.mark.parametrize(
    "looked_for, slug",
    [("reversal", "paid-twice-or-wrongly"), ("TOP-UP", "top-up"), ("2001", "failed"),
     ("maker-checker", "not-recorded"), ("initiator password", "initiator-password")],
)  # fmt: skip
def test_the_search_finds_pages_by_their_words(reader: Client, looked_for: str, slug: str) -> None:
    html = reader.get("/help/", {"q": looked_for}).content.decode()

    assert f'href="/help/{slug}/"' in html
    assert f"<mark>{looked_for.split()[0].lower()}</mark>" in html.lower()


def test_pages_whose_title_has_the_words_come_first() -> None:
    assert guide.search("in doubt")[0].page.slug in ("in-doubt", "still-in-doubt")


def test_a_page_is_found_only_if_it_has_every_word(reader: Client) -> None:
    html = reader.get("/help/", {"q": "reversal zebra"}).content.decode()

    assert "0 pages with" in html
    assert "Try fewer words" in html


def test_what_is_looked_for_is_never_taken_for_html(reader: Client) -> None:
    html = reader.get("/help/", {"q": "<script>alert(1)</script>"}).content.decode()

    assert "<script>alert" not in html
    assert guide.marked("<b>", ["<b>"]) == "<mark>&lt;b&gt;</mark>"
    assert guide.marked("a & b", ["b"]) == "a &amp; <mark>b</mark>"


def test_a_page_says_in_its_text_nothing_of_the_frame() -> None:
    text = guide.text_of(PAGES["in-doubt"])

    assert "Never pay it by another way" in text
    assert "Skip to the content" not in text
    assert "<" not in text


def test_the_diagram_draws_each_move_of_the_table_and_no_other() -> None:
    drawn = diagram.of_states()
    order = diagram.in_order()
    by_middle = {box.middle + diagram.APART: box.status for box in drawn.boxes}
    on_rails = {(by_middle[dot], rail.to.status) for rail in drawn.rails for dot in rail.dots}
    steps = {(was, to) for was, to in zip(order, order[1:], strict=False) if to in NEXT[was]}

    assert len(drawn.steps) == len(steps)
    assert on_rails | steps == {(was, to) for was in NEXT for to in NEXT[was]}
    assert not on_rails & steps


def test_rails_never_share_their_place() -> None:
    drawn = diagram.of_states()
    for one in drawn.rails:
        for other in drawn.rails:
            if one is not other and one.x == other.x:
                ys, zs = [*one.dots, one.arrives], [*other.dots, other.arrives]
                assert max(ys) < min(zs) or max(zs) < min(ys)


def test_the_table_beside_the_diagram_says_of_each_move_when_it_happens(reader: Client) -> None:
    moves = diagram.of_states().moves
    html = reader.get("/help/states/").content.decode()
    rows = html.partition("Every move, as a table")[2]

    assert {(m.was, m.to) for m in moves} == {(was, to) for was in NEXT for to in NEXT[was]}
    assert [m for m in moves if not m.why] == []
    assert set(diagram.WHY) == {(m.was, m.to) for m in moves}
    assert rows.count("<tr>") == 1 + len(moves)


def test_every_state_is_explained_and_the_ends_are_named(reader: Client) -> None:
    html = reader.get("/help/states/").content.decode()

    assert set(guide.MEANS) == set(Status)
    assert [s for s in Status if f'<dt id="{s.value}">' not in html] == []
    assert html.count("Nothing follows it.") == len(FINAL)


def test_the_table_of_codes_is_the_one_that_decides(reader: Client) -> None:
    html = reader.get("/help/failed/").content.decode()

    assert [code for code in results.RESULTS if f"<code>{code}</code>" not in html] == []


def test_the_answers_of_mifos_are_those_that_recording_knows(reader: Client) -> None:
    html = reader.get("/help/not-recorded/").content.decode()

    assert [code for code in recording.REFUSALS if f"<code>{code}</code>" not in html] == []


@pytest.mark.parametrize("hold", Hold)
def test_whether_a_hold_can_be_released_is_told_as_the_code_has_it(
    reader: Client, hold: Hold
) -> None:
    page = PAGES[hold.replace("_", "-")]
    html = reader.get(page.url).content.decode()
    offers_release = "<strong>Release</strong>" in html

    assert ("can't be released" in words(html)) == (hold in NOT_RELEASABLE)
    assert offers_release == (hold not in NOT_RELEASABLE)


@pytest.mark.parametrize(
    "kind, url",
    [("top_up", "/help/top-up/"), ("contradiction", "/help/contradiction/"),
     ("in_doubt", "/help/in-doubt/"), ("what_nobody_knows", "/help/")],
)  # fmt: skip
def test_any_page_finds_the_help_for_what_it_shows(kind: str, url: str) -> None:
    template = Template("{% load guide %}{% help_for kind %}")

    assert template.render(Context({"kind": kind})) == url


def test_a_link_to_the_help_names_its_page_and_an_unknown_kind_has_none() -> None:
    template = Template("{% load guide %}{% helped kind %}")

    html = template.render(Context({"kind": "in_doubt"}))

    assert words(html) == "What to do : In doubt"
    assert template.render(Context({"kind": "what_nobody_knows"})) == ""


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.slug)
def test_no_two_regions_of_a_page_have_the_same_name(reader: Client, page: Page) -> None:
    html = reader.get(f"/help/{page.slug}/").content.decode()
    headings = {key: words(said) for key, said in re.findall(r'id="([\w-]+)">(.*?)</h2>', html)}

    named = [headings[key] for key in re.findall(r'aria-labelledby="([\w-]+)"', html)]
    labelled = re.findall(r'role="region"[^>]* aria-label="([^"]+)"', html)
    named += [unescape(label) for label in labelled]

    assert len(named) == len(set(named))
