"""What delivery processes ask for and report."""
