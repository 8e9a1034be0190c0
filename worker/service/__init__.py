"""The service: one worker process that watches, decides, files and records, and what surrounds it."""
