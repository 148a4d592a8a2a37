"""Recorded motion: collect it, store it, read it back.

`dataset` reads a folder of recorded episodes, `recorder` and `collect` write one, `state_info`
puts physics states into the info of foreign environments, `sb3` keeps them in a replay buffer,
`sources` draws reset states from either. Nothing is imported here: Gymnasium and Stable-Baselines3
are needed only by the modules that speak to them.
"""
