"""Who may read the replica, as `[publish]` in the configuration says."""

import grp
import os

from holdtime.config.configuration import Publish
from warehouse.replica import OWNER_ALONE, Access

OWNER_AND_GROUP = 0o440


def of(publish: Publish) -> Access:
    """Return the mode and the group of what is published. Raises ValueError for a group that this user cannot give."""
    mode = None if publish.mode is None else int(publish.mode, 8)
    if publish.group is None:
        return Access(mode or OWNER_ALONE)
    try:
        group = grp.getgrnam(publish.group).gr_gid
    except KeyError:
        raise ValueError(f"[publish] group: expected a group of this machine, found {publish.group!r}") from None
    if os.geteuid() != 0 and group not in {os.getegid(), *os.getgroups()}:
        raise ValueError(
            f"[publish] group: expected a group that this user is in, found {publish.group!r}: add the user to it, and "
            "start this process anew"
        )
    return Access(mode or OWNER_AND_GROUP, group)
