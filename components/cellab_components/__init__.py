"""cellab's own components: plain classes and functions, each named by a YAML beside them in `config/`."""
