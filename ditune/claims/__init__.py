"""The old ledger, until the last chapter has moved."""
