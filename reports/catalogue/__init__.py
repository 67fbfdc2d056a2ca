"""The reports: a module each, and the registry that names them."""
