"""Addresses of the pages of a partner's M-Pesa shortcodes."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
