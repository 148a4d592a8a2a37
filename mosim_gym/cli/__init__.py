"""The ``mosim-gym`` command: parses, calls, prints."""

from __future__ import annotations

import os
import sys

from mosim_gym.cli.app import app
from mosim_gym.errors import MosimError

# isort: split
# Importing them adds their commands, in the order that --help shows.
from mosim_gym.cli import models as _models  # noqa: F401

# isort: split
from mosim_gym.cli import trusting as _trusting  # noqa: F401

# isort: split
from mosim_gym.cli import judging as _judging  # noqa: F401

# isort: split
from mosim_gym.cli import agents as _agents  # noqa: F401

__all__ = ["app", "main"]


def main() -> None:
    """Run the command; what was asked wrongly is explained in one paragraph, not a traceback."""
    # So that my_robot:arm-reach finds the my_robot.py of the folder the command is run in; last, so
    # that a file there hides no package.
    sys.path.append(os.getcwd())
    try:
        app()
    except MosimError as error:
        print(f"mosim-gym: {error}", file=sys.stderr)
        sys.exit(2)
