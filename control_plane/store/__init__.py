"""The table: each module one kind of item, with the conditions under which it is written."""
