"""The HTTP service and the playground; needs the extra ``serve``."""
