"""How fast the faces step, beside true physics on the same machine in the same run."""
