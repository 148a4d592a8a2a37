"""What is asked of a body: observation, reward, termination, initial states.

One small file a domain, torch-native and batched; `mujoco` answers from the true simulator.
"""
