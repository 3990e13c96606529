"""cellab: which parts of a self-training segmentation pipeline earn their keep?"""

__version__ = "0.1.0"
