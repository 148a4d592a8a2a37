"""``python -m mosim_gym``: the same as the command ``mosim-gym``."""

from mosim_gym.cli import main

main()
