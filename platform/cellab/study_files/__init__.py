"""The files of a study: their names, columns and types, for those who write them and those who read them."""
