"""Keep the log: every row that is written or read goes through here."""
