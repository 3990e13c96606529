"""Where stages run: in this process (`inline`), or as Ray tasks under Ray Tune (`ray`)."""
