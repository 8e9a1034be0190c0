"""Run a worker as a systemd service: its unit, its installation, and its messages to the service manager."""
