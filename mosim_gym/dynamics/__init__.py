"""What the model is: features, predictors, correctors, integrators, and the simulator of them."""
