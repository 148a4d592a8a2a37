"""One batched functional core, `world`, and its thin faces: single, vector, sb3, dm."""
