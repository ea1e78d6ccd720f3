"""Seeded defects: every module here has a function `defects`, and is found."""
