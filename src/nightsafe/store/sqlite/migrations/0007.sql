-- Indexes of the few bindings that refer to other scripts. Deletions of scripts search them.

CREATE INDEX bindings_of_scripts ON bindings (account_id)
  WHERE kind IN ('dispatch_namespace', 'durable_object_namespace', 'service', 'workflow');
CREATE INDEX binding_history_of_scripts ON binding_history (account_id)
  WHERE kind IN ('dispatch_namespace', 'durable_object_namespace', 'service', 'workflow');
