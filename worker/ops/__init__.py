"""What operating a worker takes: systemd units, the doctor, logging and metrics."""
