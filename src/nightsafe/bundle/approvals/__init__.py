"""Approvals: what an approver signs about a version, and the files with the approvers' keys."""
