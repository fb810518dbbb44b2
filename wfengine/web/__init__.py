"""The web console: what is in a store, seen and steered in a browser; the extra ``web``."""
