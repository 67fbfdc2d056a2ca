"""Where legs come from: numbers, ids and client states for callers, agents and supervisors."""

import random

from simulator import identity
from simulator.history import Leg

MAIN_NUMBER = "+12025550131"


class Switchboard:
    """Makes legs, from a generator of its own: what ids look like never changes what happens."""

    def __init__(self, rng: random.Random, *, client_state: float) -> None:
        self._rng, self._client_state = rng, client_state
        self.legs: list[Leg] = []

    def caller(self, at: int, wants: str) -> Leg:
        """Return a new session's first leg. The number is one that is never assigned (555-01xx)."""
        number = f"+1{self._rng.randrange(201, 990)}55501{self._rng.randrange(100):02d}"
        return self._leg(at, session_id=None, incoming=True, numbers=(number, MAIN_NUMBER), note=wants)

    def agent(self, at: int, caller: Leg, name: str) -> Leg:
        """Return the leg that dials an agent, in the caller's session."""
        return self._dialled(at, caller.session_id, name)

    def supervisor(self, at: int) -> Leg:
        """Return a supervisor's leg, in a session of its own."""
        return self._dialled(at, None, "supervisor")

    def _dialled(self, at: int, session_id: str | None, name: str) -> Leg:
        to = f"sip:{name}@agents.example.com"
        return self._leg(at, session_id=session_id, incoming=False, numbers=(MAIN_NUMBER, to), note=name)

    def _leg(self, at: int, *, session_id: str | None, incoming: bool, numbers: tuple[str, str], note: str) -> Leg:
        rng = self._rng
        leg = Leg(
            control_id=identity.control_id(rng),
            leg_id=identity.leg_id(rng, at),
            session_id=session_id or identity.leg_id(rng, at),
            client_state=identity.client_state(rng, self._client_state, note),
            incoming=incoming,
            from_number=numbers[0],
            to_number=numbers[1],
            initiated=at,
        )
        self.legs.append(leg)
        return leg
