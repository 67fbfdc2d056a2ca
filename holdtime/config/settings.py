"""Settings: the environment and `holdtime.toml`, read once, with every fault in them named at once."""

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from holdtime.config import configuration as file
from holdtime.config import environment as variables
from holdtime.config.configuration import CONFIG_FILE, ConfigSection, Configuration
from holdtime.config.environment import Environment
from holdtime.config.faults import ConfigurationError, fault_lines
from warehouse import os_error

__all__ = ["CONFIG_FILE", "Configuration", "ConfigurationError", "Environment", "Settings", "load"]


class Settings(ConfigSection):
    """Everything that is configured."""

    environment: Environment
    configuration: Configuration


def load(
    config: Path = CONFIG_FILE, *, also: Callable[[Settings], list[str]] = lambda _: [], sending: bool = False
) -> Settings:
    """Read the environment and the file. Raises ConfigurationError.

    `also` gives the faults of what only some commands need, to be named together with the others, if there are any; it
    is given what could be read, and defaults for the rest.
    `sending` is for those that send summaries: then a recipient that cannot be used is a fault, too.
    """
    faults: list[str] = []
    configuration = None
    environment, unusable = variables.read()
    faults += unusable
    try:
        configuration = Configuration.model_validate(file.read(config))
    except ValidationError as error:
        faults += fault_lines(error, where=f"{config}: ")
    except OSError as error:
        faults.append(f"{config}: cannot be read: {os_error.reason(error)}")
    except ValueError as error:
        faults.append(f"{config}: {error}")
    if configuration is not None and sending:
        faults += [f"{config}: {fault}" for each in configuration.schedule for fault in each.unreachable(os.environ)]
    if configuration is None or faults:
        believed = Settings.model_construct(environment=environment, configuration=configuration or Configuration())
        raise ConfigurationError([*also(believed), *faults])
    return Settings(environment=environment, configuration=configuration)
