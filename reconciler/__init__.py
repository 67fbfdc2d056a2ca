"""The reconciler: asks Telnyx's API what the webhooks missed, and puts the answers into the log as events.

It promises: what it publishes is what Telnyx said, original bodies under their own ids and states as events whose id is
a function of what was observed, so asking again adds nothing; nothing is called complete that was not read to its end;
what cannot be read now is read the next time; it asks no more often than it may. It is the only one to import `telnyx`,
and knows of the log nothing but how to append.
"""
