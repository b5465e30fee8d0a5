"""What runs inside the worker process: the only folder that imports torch."""
