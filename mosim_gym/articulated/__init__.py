"""Forward dynamics of a body whose geometry is told: batched, differentiable, as MuJoCo has it."""
