"""Prominence schedules: how much cell a crop must show, generation by generation."""
