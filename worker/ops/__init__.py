"""What surrounds a worker in operation: systemd, the doctor, logging and metrics."""
