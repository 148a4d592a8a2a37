"""What a body is: its joints, actuators, time steps and the fingerprint of its physics."""
