"""Teachers: who labels crops for the members of a generation after the first."""
