"""The reconciler: asks Telnyx's API what the webhooks missed, and puts the answers into the log as events.

It promises: it publishes Telnyx's answers, original bodies under their own ids and observed states as events whose id
follows from the state, so asking again adds nothing; it calls no window complete that it did not read to its end; a
list that cannot be read now is read the next time; it asks no more often than it may. No other room imports `telnyx`.
Of the log it knows how to append, and nothing else.
"""
