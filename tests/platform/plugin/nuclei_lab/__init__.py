"""Components of a laboratory that has nothing to do with cellab's authors."""
