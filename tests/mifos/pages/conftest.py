from tests.partners.pages.people import admin, press, signed_in

__all__ = ["admin", "press", "signed_in"]
