"""Commands of approvers: create a key, approve a version."""
