"""Run a worker as a systemd service: its unit, its installation, and what it tells the service manager."""
