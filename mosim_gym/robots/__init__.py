"""What a body is: its joints, actuators and time steps, and how it is drawn."""
