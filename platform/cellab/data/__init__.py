"""Data sets: one HDF5 file each, imported from folders of images or synthesised, with masks, truth and splits."""
