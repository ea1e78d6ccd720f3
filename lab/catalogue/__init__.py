"""What the platform is made of: every component, its versions and where each comes from, as data.

Knows neither inventory nor store, and stands below both.
"""
