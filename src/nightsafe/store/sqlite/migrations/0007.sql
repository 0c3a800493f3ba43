-- The few bindings that lead to other scripts: asked for before a script is deleted.

CREATE INDEX bindings_of_scripts ON bindings (account_id)
  WHERE kind IN ('dispatch_namespace', 'durable_object_namespace', 'service', 'workflow');
CREATE INDEX binding_history_of_scripts ON binding_history (account_id)
  WHERE kind IN ('dispatch_namespace', 'durable_object_namespace', 'service', 'workflow');
