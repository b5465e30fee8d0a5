"""Reads breaks from text logs and TORCH_TRACE folders."""
