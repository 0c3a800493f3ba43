"""Scripts: uploads, modules, settings, triggers, and the bindings an upload keeps or updates."""
