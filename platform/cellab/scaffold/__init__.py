"""Begins new components: writes a class, its YAML and its test, and the package around them where there is none."""
