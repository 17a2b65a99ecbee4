"""catray: product feeds of many shops in, a valid path of one taxonomy for every product out."""

__version__ = "0.1.0"
