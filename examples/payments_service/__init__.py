"""A payments service: an executor of its own. It runs refunds only for orders that it verifies itself, with
``counterfoil`` alone, whatever the desk, its database and its keys say. ``README.md`` begins here."""
