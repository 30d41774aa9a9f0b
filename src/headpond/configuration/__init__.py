"""Settings, from where people write them: a YAML file, the environment, references to secrets."""

from headpond.configuration.loading import Configuration, load

__all__ = ["Configuration", "load"]
