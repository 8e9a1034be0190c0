"""Watch the inbox, and say which of its files are settled."""

from worker.inbox.inbox import Inbox, Settled

__all__ = ["Inbox", "Settled"]
