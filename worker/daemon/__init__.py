"""The loop: one worker process that watches, predicts, decides, moves and records."""
