from tests.partners.pages.people import admin, confirm, press, second, signed_in

__all__ = ["admin", "confirm", "press", "second", "signed_in"]
