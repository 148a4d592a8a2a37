"""How good a model is: errors by horizon, and how far it can be trusted."""
