"""What this machine is and feels."""
