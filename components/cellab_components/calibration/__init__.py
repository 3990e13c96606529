"""Calibrations: from which probability on a pixel is a cell, where masks miss some of the cells."""
