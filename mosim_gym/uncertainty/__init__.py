"""Knowing when not to trust a model: scores of doubt, calibrated on held-out motion."""
