"""rawscribe: standard operating procedures, drafts and laboratory notebooks of one tenant."""
