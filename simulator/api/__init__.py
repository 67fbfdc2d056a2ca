"""A stand-in for Telnyx's API on the simulator's own world, stateful: what a command changes, lists show.

It promises: the answers' fields, placements and quirks are those of Telnyx's OpenAPI description, as far as they are
known; whatever a list says happened, happened in the world; a command's webhooks are those that Telnyx sends. It knows
nothing of what asks it: the official SDK drives it like the real one.

    account = Account.of(world, now=lambda: later_us, lost=ids_of_webhooks_that_never_came)
    serve(application(account, key="KEY"))
"""

from simulator.api.account import Account
from simulator.api.app import application
from simulator.api.manners import Manners

__all__ = ["Account", "Manners", "application"]
