"""Files of a laptop's state directory that both the emulator and the commands know."""

SAVED = "saved.json"
"""When the emulator's state was saved while it ran."""

JOURNAL = "journal.jsonl"
"""Which executions were started since the last clean stop."""
