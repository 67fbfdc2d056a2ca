"""Changed facts, noted in the transaction that changed them and published after it."""
