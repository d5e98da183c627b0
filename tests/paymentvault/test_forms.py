"""Forms: each error beside its field and in a summary, and nobody's edit overwritten unseen."""

import pytest
from django import forms
from django.db import connection, transaction
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from partners.models import Partner
from paymentvault.forms import ToldOfClashes


class Sums(forms.Form):
    name = forms.CharField(label="Name", help_text="As on the <em>certificate</em>.")
    sort = forms.ChoiceField(choices=[("a", "A"), ("b", "B")], widget=forms.RadioSelect)
    sure = forms.BooleanField(label="Sure", help_text="Are you?")
    secret = forms.CharField(widget=forms.HiddenInput, required=False)

    def clean(self):
        if self.cleaned_data.get("name") == "<b>":
            self.add_error(None, "Never <b>.")


class ContactForm(ToldOfClashes):
    class Meta:
        model = Partner
        fields = ["contact"]


def sent(form, **changed):
    """What a browser sends back of a form as it was shown."""
    shown = {name: form[name].value() for name in form.fields}
    query = QueryDict(mutable=True)
    query.update({**shown, **changed})
    return query


def test_each_field_has_label_hint_and_its_errors_with_ids_that_lead_to_them():
    html = str(Sums({"name": ""}))

    assert '<label for="id_name">Name</label>' in html
    assert 'id="id_name_helptext"' in html and 'id="id_name_error"' in html
    assert 'aria-invalid="true"' in html and "id_name_helptext" in html.split("<input")[2]
    assert "<legend>" in html, "a choice of several is a fieldset"


def test_the_summary_links_each_error_to_its_field():
    html = str(Sums({"name": ""}))

    assert 'role="alert"' in html
    assert '<a href="#id_name">Name: This field is required.</a>' in html
    assert html.index('href="#id_name"') < html.index('id="id_name"')


def test_a_form_that_is_right_has_no_summary():
    assert 'role="alert"' not in str(Sums())
    assert 'role="alert"' not in str(Sums({"name": "A", "sort": "a", "sure": "on"}))


def test_what_was_typed_stays_and_is_escaped():
    html = str(Sums({"name": "<b>", "sort": "b", "sure": "on", "secret": "s"}))

    assert 'value="&lt;b&gt;"' in html and "Never &lt;b&gt;." in html
    assert 'type="hidden" name="secret" value="s"' in html


def test_a_save_that_nobody_came_before_is_valid(lender):
    form = ContactForm(sent(ContactForm(instance=lender), contact="Amina"), instance=lender)

    assert form.is_valid()
    assert form.save().contact == "Amina"


def test_a_new_row_clashes_with_nobody(db):
    assert ContactForm({"contact": "Amina"}).is_valid()


@pytest.fixture
def clash(lender):
    """Amina's form, with Baraka's having been saved while she had it open."""
    hers = sent(ContactForm(instance=lender), contact="Amina")
    Partner.objects.get(pk=lender.pk).save()
    return ContactForm(hers, instance=Partner.objects.get(pk=lender.pk))


def test_a_clash_is_told_and_nothing_is_overwritten(clash):
    assert not clash.is_valid()
    assert "Somebody else saved this" in str(clash.non_field_errors())
    assert Partner.objects.get().contact == ""


def test_after_a_clash_what_was_typed_is_there_and_a_second_save_overwrites(clash, lender):
    assert not clash.is_valid()

    again = ContactForm(sent(clash), instance=Partner.objects.get(pk=lender.pk))

    assert again.is_valid()
    assert again.save().contact == "Amina"


def test_a_third_save_in_between_is_told_again(clash, lender):
    assert not clash.is_valid()
    Partner.objects.get(pk=lender.pk).save()

    again = ContactForm(sent(clash), instance=Partner.objects.get(pk=lender.pk))

    assert not again.is_valid()


@pytest.mark.parametrize("seen", ["", "yesterday", "2026-13-45T99:00:00+00:00", "\x00"])
def test_a_form_that_doesn_t_say_what_it_saw_is_a_clash(lender, seen):
    form = ContactForm({"contact": "Amina", "seen": seen}, instance=lender)

    assert not form.is_valid()


def test_a_plain_dict_keeps_what_was_typed_too(lender):
    form = ContactForm({"contact": "Amina", "seen": ""}, instance=lender)

    assert not form.is_valid()
    assert form["contact"].value() == "Amina"


def test_with_a_prefix_too(lender):
    form = ContactForm({"p-contact": "Amina", "p-seen": ""}, instance=lender, prefix="p")
    assert not form.is_valid()

    again = ContactForm({"p-contact": "Amina", "p-seen": form["seen"].value()},
                        instance=Partner.objects.get(pk=lender.pk), prefix="p")  # fmt: skip

    assert again.is_valid()


@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_the_row_is_locked_so_that_the_second_waits():
    lender = Partner.objects.create(name="Pesa Pamoja", code="pamoja")
    given = sent(ContactForm(instance=lender))

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        ContactForm(given, instance=lender).is_valid()

    assert "FOR NO KEY UPDATE" in queries[-1]["sql"]
    assert ContactForm(given, instance=lender).is_valid(), "and without one it is only looked at"
