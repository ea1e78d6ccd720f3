"""Proof that verify can fail: seeded defects, and which check must name each of them."""
