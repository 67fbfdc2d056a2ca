"""The context of the schedules, made of the settings."""

from functools import partial

from holdtime.config.requests import request_of
from holdtime.config.settings import Settings
from schedules.context import Context


def context_of(settings: Settings) -> Context:
    """Return what the schedules need of the settings."""
    environment, configuration = settings.environment, settings.configuration
    return Context(
        schedules=configuration.schedule,
        timezone=configuration.timezone,
        has_timezone="timezone" in configuration.model_fields_set,
        ledger=environment.schedules,
        warehouse=environment.warehouse,
        replica=environment.replica,
        request=partial(request_of, configuration),
    )
