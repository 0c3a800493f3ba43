"""The schema's steps, a numbered SQL file each. A file that was released is never changed."""
