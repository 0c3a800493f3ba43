"""Creates, backs up and restores a safe."""
