"""Training SB3 agents on a world, and judging them in the model and in reality."""
