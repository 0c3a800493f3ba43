"""`nightsafe delivery`: commands for the state that a delivery process keeps."""
