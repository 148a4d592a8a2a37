"""Planning with a simulator: sampled futures (MPPI, CEM), replanned at every step."""
