"""The paper's configuration–budget tables as versioned JSON."""
