"""Scripts: uploads, modules, settings, triggers, and the bindings that an upload keeps or updates."""
