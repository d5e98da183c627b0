"""The demo: a lender set up as staff would, a dozen loans, and everything that can go wrong."""
