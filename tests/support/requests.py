"""Requests as tests ask for them: by the options of the command line."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reports.request.effective_policy import QueuePolicy
from reports.request.options import ReportOptions
from reports.request.request import Request, SettingOrigin


def a_request(
    now: datetime,
    *,
    policies: tuple[QueuePolicy, ...] = (),
    origins: Mapping[str, SettingOrigin] | None = None,
    completeness_floor: float = 0.98,
    **options: Any,
) -> Request:
    """Return the request that these options mean, where nothing but the policies is configured."""
    configured = Request(now=now, policies=policies, origins=origins or {}, completeness_floor=completeness_floor)
    return ReportOptions(**options).applied_to(configured)
