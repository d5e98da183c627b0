"""The portal's pages about money: disbursements, cases, callbacks, and M-Pesa's set-up."""
