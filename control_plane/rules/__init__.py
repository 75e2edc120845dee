"""What is decided, and why: facts and time in, a decision and its reason out. No I/O."""
